// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "device/decorator.hpp"
#include "device/record_format.hpp"
#include "mem/context_state.hpp"
#include "pollux/device/record.hpp"

namespace pollux {
namespace {

using Kind = RecordEvent::Kind;
using Role = RingRegister::Role;

template <class T>
std::uint8_t outcome_of(const Result<T>& result) noexcept {
  return result ? std::uint8_t{0} : static_cast<std::uint8_t>(1 + static_cast<unsigned>(result.error().code));
}

}  // namespace

/// The ring that the recorder gives to the card for one queue. It lies in the recorder's memory.
class CardRing {
 public:
  CardRing(DescriptorArray memory, std::size_t size, std::uint64_t iova)
      : memory_(memory), iova_(iova), last_seen_(size), driver_copy_(size) {}

  [[nodiscard]] std::uint64_t iova() const noexcept { return iova_; }
  /// Resets the ring: the card owns no descriptor.
  void clear() noexcept {
    for (std::size_t slot = 0; slot < last_seen_.size(); ++slot) memory_.store(slot, {});
    std::fill(last_seen_.begin(), last_seen_.end(), RawDescriptor{});
    std::fill(driver_copy_.begin(), driver_copy_.end(), RawDescriptor{});
  }
  /// Copies a descriptor that the driver armed to the card's ring.
  void arm(std::uint16_t slot, const RawDescriptor& armed) noexcept {
    memory_.store(slot, armed);
    last_seen_[slot] = armed;
    driver_copy_[slot] = armed;
  }
  /// Calls `on_change` with each slot that the card wrote since the last poll, and with its descriptor.
  template <class OnChange>
  void poll(std::size_t size, OnChange on_change) {
    for (std::size_t slot = 0; slot < size; ++slot) {
      const RawDescriptor now = memory_.load(slot);
      if (now == last_seen_[slot]) continue;
      last_seen_[slot] = now;
      on_change(static_cast<std::uint16_t>(slot), now);
    }
  }
  /// The descriptor that the driver's slot holds until the driver arms the slot again.
  [[nodiscard]] RawDescriptor& driver_copy(std::uint16_t slot) noexcept { return driver_copy_[slot]; }

 private:
  DescriptorArray memory_;
  std::uint64_t iova_;
  std::vector<RawDescriptor> last_seen_;
  std::vector<RawDescriptor> driver_copy_;
};

/// See record_device.
class RecordDevice final : public DeviceDecorator {
 public:
  RecordDevice(std::shared_ptr<ContextState> context, std::unique_ptr<Device> inner, const CardLayout& layout,
               RecordWriter writer)
      : DeviceDecorator(std::move(inner)), context_(std::move(context)), layout_(layout), writer_(std::move(writer)) {}
  ~RecordDevice() override {
    if (attached_) context_->detach(*memory_);
    writer_.finish();
    log_error();
  }
  /// Allocates the card's rings and attaches the map of all other memory.
  [[nodiscard]] Result<void> prepare() {
    if (auto attached = context_->attach(memory_); !attached) return attached;
    attached_ = true;
    std::size_t total = 0;
    for (const RingRegisters& kind : layout_.rings) {
      total += std::size_t{kind.queues} * layout_.max_descriptors * kind.descriptor_bytes;
    }
    if (total == 0) return {};  // only registers are recorded
    auto memory = context_->allocate({.size = total, .purpose = "rings of a recording"});
    if (!memory) return pass_on(std::move(memory));
    ring_memory_ = *std::move(memory);
    // A ring must not cross a segment. The end of a segment stays unused if no ring fits there.
    std::size_t segment = 0;
    std::size_t used = 0;
    for (const RingRegisters& kind : layout_.rings) {
      auto& queues = queues_.emplace_back();
      const std::size_t bytes = std::size_t{layout_.max_descriptors} * kind.descriptor_bytes;
      for (std::uint32_t i = 0; i < kind.queues; ++i, used += bytes) {
        while (segment < ring_memory_.segments().size() && used + bytes > ring_memory_.segments()[segment].size) {
          ++segment;
          used = 0;
        }
        if (segment == ring_memory_.segments().size()) {
          return fail(ErrorCode::no_memory, fmt::format("{}: not enough contiguous memory to record the rings", name()),
                      "reserve huge pages");
        }
        const DmaSegment& into = ring_memory_.segments()[segment];
        const DescriptorArray ring(into.address + used, kind.descriptor_bytes);
        queues.push_back(
            {DriverRing(kind.descriptor_bytes), CardRing(ring, layout_.max_descriptors, into.iova + used)});
      }
    }
    return {};
  }

  [[nodiscard]] Result<std::uint32_t> read_config(std::uint32_t offset, unsigned width) override {
    const std::lock_guard lock(mutex_);
    auto value = DeviceDecorator::read_config(offset, width);
    add({.kind = Kind::config_read,
         .bar = static_cast<std::uint8_t>(width),
         .outcome = outcome_of(value),
         .offset = offset,
         .value = value.value_or(0)});
    return value;
  }
  [[nodiscard]] Result<void> write_config(std::uint32_t offset, unsigned width, std::uint32_t value) override {
    const std::lock_guard lock(mutex_);
    auto written = DeviceDecorator::write_config(offset, width, value);
    add({.kind = Kind::config_write,
         .bar = static_cast<std::uint8_t>(width),
         .outcome = outcome_of(written),
         .offset = offset,
         .value = value});
    return written;
  }
  [[nodiscard]] Result<void> set_bus_master(bool enabled) override {
    const std::lock_guard lock(mutex_);
    auto set = DeviceDecorator::set_bus_master(enabled);
    add({.kind = Kind::bus_master, .bar = static_cast<std::uint8_t>(enabled), .outcome = outcome_of(set)});
    poll_card();
    return set;
  }
  [[nodiscard]] Result<void> reset() override {
    const std::lock_guard lock(mutex_);
    auto done = DeviceDecorator::reset();
    add({.kind = Kind::reset, .outcome = outcome_of(done)});
    return done;
  }
  [[nodiscard]] Result<std::span<const int>> enable_interrupts(unsigned count) override {
    const std::lock_guard lock(mutex_);
    auto enabled = DeviceDecorator::enable_interrupts(count);
    add({.kind = Kind::interrupts_on, .outcome = outcome_of(enabled), .queue = static_cast<std::uint16_t>(count)});
    watch_interrupts(enabled ? *enabled : std::span<const int>());
    return enabled;
  }

 private:
  struct Queue {
    DriverRing driver;
    CardRing card;
  };

  [[nodiscard]] std::uint32_t read_register(unsigned bar, std::uint32_t offset, unsigned width) noexcept override {
    const std::lock_guard lock(mutex_);
    std::uint32_t value = DeviceDecorator::read_register(bar, offset, width);
    if (const auto ring = ring_register(bar, offset, width); ring && value != ~std::uint32_t{0}) {
      // The card has the base of the recorder's ring. Return the base that the driver wrote.
      if (ring->is_base()) value = queue_of(*ring).driver.base(ring->role);
    }
    add({.kind = Kind::read,
         .bar = static_cast<std::uint8_t>(bar),
         .width = static_cast<std::uint8_t>(width),
         .offset = offset,
         .value = value});
    // A replay need not repeat these reads, so what they brought would come at another time there.
    if (!is_read_at_any_time(bar, offset, width)) poll_rings();
    poll_events();
    return value;
  }
  void write_register(unsigned bar, std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override {
    const std::lock_guard lock(mutex_);
    add({.kind = Kind::write,
         .bar = static_cast<std::uint8_t>(bar),
         .width = static_cast<std::uint8_t>(width),
         .offset = offset,
         .value = value});
    const auto ring = ring_register(bar, offset, width);
    DeviceDecorator::write_register(bar, offset, width, ring ? write_ring(*ring, value) : value);
    poll_card();
  }
  void flush_registers(unsigned bar) noexcept override {
    const std::lock_guard lock(mutex_);
    DeviceDecorator::flush_registers(bar);
    // Polls of empty queues are only counted: there may be millions per second.
    if (flushes_ != std::numeric_limits<std::uint32_t>::max()) ++flushes_;
    poll_card();
  }

  [[nodiscard]] Queue& queue_of(const RingRegister& which) noexcept { return queues_[which.kind][which.queue]; }
  [[nodiscard]] std::optional<RingRegister> ring_register(unsigned bar, std::uint32_t offset,
                                                          unsigned width) const noexcept {
    return bar == layout_.bar && width == 4 ? find_ring_register(layout_, offset) : std::nullopt;
  }
  [[nodiscard]] bool is_read_at_any_time(unsigned bar, std::uint32_t offset, unsigned width) const noexcept {
    return bar == layout_.bar && width == 4 && (layout_.is_counter(offset) || layout_.is_status(offset));
  }
  /// Handles a write to a ring register. Returns the value to write to the card instead of the driver's.
  [[nodiscard]] std::uint32_t write_ring(const RingRegister& which, std::uint32_t value) noexcept {
    Queue& queue = queue_of(which);
    if (which.role == Role::tail) {
      queue.driver.move_tail(*memory_, layout_.max_descriptors, value,
                             [&](std::uint16_t slot) { queue.card.arm(slot, queue.driver.armed(slot)); });
      return value;
    }
    queue.driver.write(which.role, value);
    if (which.role == Role::buffer) return value;
    queue.card.clear();
    if (which.role == Role::base_low) return static_cast<std::uint32_t>(queue.card.iova());
    if (which.role == Role::base_high) return static_cast<std::uint32_t>(queue.card.iova() >> 32);
    return value;
  }
  /// Records the flushes since the last event, then `event`.
  void add(const RecordEvent& event) noexcept {
    if (flushes_ != 0) writer_.add({.kind = Kind::flush, .value = std::exchange(flushes_, 0)});
    writer_.add(event);
    log_error();
  }
  /// Logs the first failure to write, once.
  void log_error() noexcept {
    if (error_logged_) return;
    const auto failure = writer_.failure();
    if (!failure) return;
    error_logged_ = true;
    context_->log(LogLevel::error, fmt::format("{}: {}", name(), failure->message()));
  }
  /// Records all events of the card since the last poll, and copies its write-backs to the driver's rings.
  void poll_card() noexcept {
    poll_rings();
    poll_events();
  }
  void poll_rings() noexcept {
    for (std::size_t kind = 0; kind < queues_.size(); ++kind) {
      for (std::size_t number = 0; number < queues_[kind].size(); ++number) {
        Queue& queue = queues_[kind][number];
        if (!queue.driver.is_ready()) continue;
        queue.card.poll(queue.driver.size(), [&](std::uint16_t slot, const RawDescriptor& now) {
          deliver(static_cast<std::uint8_t>(kind), static_cast<std::uint16_t>(number), queue, slot, now);
        });
      }
    }
  }
  void poll_events() noexcept {
    poll_interrupts();
    if (!removed_ && DeviceDecorator::removed()) {
      removed_ = true;
      add({.kind = Kind::removed});
    }
  }
  // A write-back is dropped if the driver has changed the slot in the meantime.
  void deliver(std::uint8_t kind, std::uint16_t number, Queue& queue, std::uint16_t slot,
               const RawDescriptor& now) noexcept {
    DescriptorArray& descriptors = queue.driver.descriptors();
    if (descriptors.load(slot) != queue.card.driver_copy(slot)) return;
    RecordEvent event{.kind = Kind::write_back,
                      .bar = kind,
                      .queue = number,
                      .slot = slot,
                      .words = descriptors.words(),
                      .descriptor = now};
    for (const RecordedBuffer& buffer : kRecordedBuffers) {
      if (!layout_.rings[kind].receive || layout_.*buffer.used == nullptr) continue;
      // The length comes from the card and is not trusted: the card cannot have written more than the buffer holds.
      const std::uint32_t bytes = std::min({(layout_.*buffer.used)(std::span(now.words).first(descriptors.words())),
                                            (layout_.*buffer.room)(queue.driver.buffer()), RecordEvent::kMaxPayload});
      const std::byte* const written = memory_->at(queue.driver.armed(slot).words[buffer.word], bytes);
      if (written != nullptr) event.*buffer.bytes = {written, bytes};
    }
    add(event);
    queue.card.driver_copy(slot) = now;
    descriptors.store(slot, now);
  }
  // Edge-triggered, since the driver may leave the eventfds as they are, and only it may reset them.
  void watch_interrupts(std::span<const int> events) noexcept {
    interrupts_ = FileDescriptor(events.empty() ? -1 : ::epoll_create1(EPOLL_CLOEXEC));
    if (!interrupts_) return;
    for (std::size_t vector = 0; vector < events.size(); ++vector) {
      epoll_event wanted{};
      wanted.events = EPOLLIN | EPOLLET;
      wanted.data.u64 = vector;
      static_cast<void>(::epoll_ctl(interrupts_.get(), EPOLL_CTL_ADD, events[vector], &wanted));
    }
  }
  void poll_interrupts() noexcept {
    if (!interrupts_) return;
    std::array<epoll_event, 32> raised{};
    const int count = ::epoll_wait(interrupts_.get(), raised.data(), static_cast<int>(raised.size()), 0);
    for (int i = 0; i < count; ++i) {
      add({.kind = Kind::interrupt, .queue = static_cast<std::uint16_t>(raised[static_cast<std::size_t>(i)].data.u64)});
    }
  }

  std::shared_ptr<ContextState> context_;
  const CardLayout& layout_;
  std::mutex mutex_;
  RecordWriter writer_;
  bool error_logged_ = false;
  std::uint32_t flushes_ = 0;  // not recorded yet
  std::shared_ptr<MemoryMap> memory_ = std::make_shared<MemoryMap>();
  bool attached_ = false;
  DmaMemory ring_memory_;
  std::vector<std::vector<Queue>> queues_;  // by kind of ring
  FileDescriptor interrupts_;               // an epoll instance with the eventfds of the enabled vectors
  bool removed_ = false;
};

Result<std::unique_ptr<Device>> record_device(Context& context, const std::string& file, const CardLayout& layout,
                                              std::unique_ptr<Device> inner) {
  if (auto valid = check_layout(layout); !valid) return pass_on(std::move(valid));
  RecordHeader header{.identity = inner->identity(),
                      .vectors = static_cast<std::uint16_t>(inner->interrupt_vectors()),
                      .bars = {},
                      .name = inner->name()};
  for (unsigned index = 0; index < header.bars.size(); ++index) {
    if (const auto bar = inner->bar(index)) header.bars[index] = bar->size();
  }
  auto writer = RecordWriter::create(file, header);
  if (!writer) return pass_on(std::move(writer));
  auto device = std::make_unique<RecordDevice>(context.state(), std::move(inner), layout, *std::move(writer));
  if (auto prepared = device->prepare(); !prepared) return pass_on(std::move(prepared));
  return device;
}

}  // namespace pollux
