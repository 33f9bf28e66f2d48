// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "base/open_file.hpp"
#include "device/record_format.hpp"
#include "device/record_text.hpp"
#include "mem/context_state.hpp"
#include "pollux/device/record.hpp"

namespace pollux {
namespace {

using Kind = RecordEvent::Kind;
using Role = RingRegister::Role;

/// Reads the file, unless its beginning shows that it is not a recording.
Result<std::vector<std::byte>> read_file(const std::string& path) {
  constexpr std::size_t kMaxBytes = std::size_t{1} << 30;
  constexpr std::size_t kChunk = 65536;
  auto file = open_input_file(path, "replay");
  if (!file) return pass_on(std::move(file));
  std::vector<std::byte> bytes;
  for (;;) {
    const std::size_t before = bytes.size();
    bytes.resize(before + kChunk);
    const ssize_t count = ::read(file->get(), bytes.data() + before, kChunk);
    bytes.resize(before + static_cast<std::size_t>(std::max(count, ssize_t{0})));
    if (count < 0) {
      return fail_errno(ErrorCode::io_error, fmt::format("replay: cannot read all of {}", path), errno,
                        "copy the file to another disk");
    }
    if (count == 0 || !RecordReader::has_magic(bytes)) return bytes;
    if (bytes.size() <= kMaxBytes) continue;
    return fail(ErrorCode::invalid_argument, fmt::format("{}: the recording has more than {} bytes", path, kMaxBytes),
                fmt::format("replay its beginning: head -c {} {} > OTHER", kMaxBytes, path));
  }
}

Result<void> as_result(const Result<RecordEvent>& event, std::string_view name, std::string_view call) {
  if (!event) return tl::unexpected<Error>(event.error());
  if (event->outcome == 0) return {};
  const auto code = static_cast<ErrorCode>(event->outcome - 1);
  return fail(code, fmt::format("{}: {} failed as it did when this was recorded", name, call));
}

}  // namespace

/// See replay_device.
class ReplayDevice final : public Device {
 public:
  ReplayDevice(std::shared_ptr<ContextState> context, std::string name, RecordReader reader, const CardLayout& layout,
               std::shared_ptr<ReplayProgress> progress)
      : context_(std::move(context)),
        name_(std::move(name)),
        reader_(std::move(reader)),
        layout_(layout),
        progress_(std::move(progress)) {
    for (const RingRegisters& kind : layout_.rings) rings_.emplace_back(kind.queues, DriverRing(kind.descriptor_bytes));
  }
  ~ReplayDevice() override {
    if (attached_) context_->detach(*memory_);
  }
  /// Attaches the memory map to the Context.
  [[nodiscard]] Result<void> prepare() {
    if (auto attached = context_->attach(memory_); !attached) return attached;
    attached_ = true;
    return {};
  }

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] PciIdentity identity() const override { return reader_.header().identity; }
  [[nodiscard]] int numa_node() const override { return -1; }
  [[nodiscard]] Result<std::uint32_t> read_config(std::uint32_t offset, unsigned width) override {
    const std::lock_guard lock(mutex_);
    auto event = answer_call({.kind = Kind::config_read, .bar = static_cast<std::uint8_t>(width), .offset = offset});
    if (auto result = as_result(event, name_, "read_config"); !result) return pass_on(std::move(result));
    return event->value;
  }
  [[nodiscard]] Result<void> write_config(std::uint32_t offset, unsigned width, std::uint32_t value) override {
    const std::lock_guard lock(mutex_);
    return as_result(
        answer_call(
            {.kind = Kind::config_write, .bar = static_cast<std::uint8_t>(width), .offset = offset, .value = value}),
        name_, "write_config");
  }
  [[nodiscard]] Result<Bar> bar(unsigned index) override {
    if (index >= windows_.size() || reader_.header().bars[index] == 0) {
      return fail(ErrorCode::not_found, fmt::format("{}: the recorded card has no BAR {}", name_, index));
    }
    if (windows_[index] == nullptr) windows_[index] = std::make_unique<Window>(*this, index);
    return Bar(static_cast<RemoteRegisters&>(*windows_[index]), reader_.header().bars[index]);
  }
  [[nodiscard]] Result<void> set_bus_master(bool enabled) override {
    const std::lock_guard lock(mutex_);
    return as_result(answer_call({.kind = Kind::bus_master, .bar = static_cast<std::uint8_t>(enabled)}), name_,
                     "set_bus_master");
  }
  [[nodiscard]] Result<void> reset() override {
    const std::lock_guard lock(mutex_);
    return as_result(answer_call({.kind = Kind::reset}), name_, "reset");
  }
  [[nodiscard]] DmaDomain& dma_domain() override { return *memory_; }
  [[nodiscard]] unsigned interrupt_vectors() const override { return reader_.header().vectors; }
  [[nodiscard]] Result<std::span<const int>> enable_interrupts(unsigned count) override {
    const std::lock_guard lock(mutex_);
    std::vector<FileDescriptor> events;
    if (count > reader_.header().vectors) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{}: the recorded card has {} interrupt vectors", name_, reader_.header().vectors));
    }
    events.reserve(count);  // so that no eventfd is lost if an allocation fails
    for (unsigned vector = 0; vector < count; ++vector) {
      events.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
      if (!events.back()) return fail_errno(ErrorCode::io_error, fmt::format("{}: eventfd", name_), errno);
    }
    // The eventfds must exist before the event is consumed, because interrupts that follow it signal them.
    events_ = std::move(events);
    event_fds_.clear();
    for (const FileDescriptor& event : events_) event_fds_.push_back(event.get());
    if (auto result = as_result(answer_call({.kind = Kind::interrupts_on, .queue = static_cast<std::uint16_t>(count)}),
                                name_, "enable_interrupts");
        !result) {
      return pass_on(std::move(result));
    }
    return std::span<const int>(event_fds_);
  }
  [[nodiscard]] bool removed() const override { return removed_.load(std::memory_order_acquire); }

 private:
  class Window final : public RemoteRegisters {
   public:
    Window(ReplayDevice& owner, unsigned bar) : owner_(owner), bar_(static_cast<std::uint8_t>(bar)) {}
    [[nodiscard]] std::uint32_t read32(std::uint32_t offset) noexcept override { return owner_.read(bar_, offset, 4); }
    void write32(std::uint32_t offset, std::uint32_t value) noexcept override { owner_.write(bar_, offset, 4, value); }
    [[nodiscard]] std::uint32_t read_narrow(std::uint32_t offset, unsigned width) noexcept override {
      return owner_.read(bar_, offset, width);
    }
    void write_narrow(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override {
      owner_.write(bar_, offset, width, value);
    }
    void flush() noexcept override { owner_.flush(); }

   private:
    ReplayDevice& owner_;
    std::uint8_t bar_;
  };

  [[nodiscard]] std::uint32_t read(std::uint8_t bar, std::uint32_t offset, unsigned width) noexcept {
    const std::lock_guard lock(mutex_);
    const RecordEvent request{
        .kind = Kind::read, .bar = bar, .width = static_cast<std::uint8_t>(width), .offset = offset};
    if (is_counter(request) && !diverged_) {
      skip_counters();
      return std::exchange(counters_[offset], 0);
    }
    if (is_status(request) && !diverged_) return read_status(offset);
    // The driver may also read it more times than recorded.
    if (!diverged_ && repeats_last_read(request) && !repeats_last_read(reader_.peek())) return last_read_value_;
    const auto event = answer(request);
    if (!event) return part_of_word(~std::uint32_t{0}, 0, width);
    last_read_ = request;
    last_read_value_ = event->value;
    consume();
    const auto ring = ring_register(request);
    // All ones means that the recorded card had been removed; the driver must see that, too.
    if (ring && ring->is_base() && event->value != ~std::uint32_t{0})
      return rings_[ring->kind][ring->queue].base(ring->role);
    return event->value;
  }
  void write(std::uint8_t bar, std::uint32_t offset, unsigned width, std::uint32_t value) noexcept {
    const std::lock_guard lock(mutex_);
    const RecordEvent request{
        .kind = Kind::write, .bar = bar, .width = static_cast<std::uint8_t>(width), .offset = offset, .value = value};
    if (!answer(request)) return;
    last_read_.reset();
    const auto ring = ring_register(request);
    if (ring && ring->role == Role::tail) {
      rings_[ring->kind][ring->queue].move_tail(*memory_, layout_.max_descriptors, value, [](std::uint16_t) {});
    } else if (ring) {
      rings_[ring->kind][ring->queue].write(ring->role, value);
    }
    consume();
  }
  // The recording counts the polls before the next card event. That event is applied at the last of them; further polls
  // have no effect.
  void flush() noexcept {
    const std::lock_guard lock(mutex_);
    if (diverged_) return;
    skip_reads();
    if (reader_.peek().kind != Kind::flush) return;
    if (++flushes_ >= reader_.peek().value) consume();
  }

  /// The recorded event that matches the driver's request. If none does: nullopt, and marks the card as removed unless
  /// the request comes after the recorded run.
  [[nodiscard]] std::optional<RecordEvent> answer(const RecordEvent& request) {
    if (diverged_) return std::nullopt;
    skip_optional_events();
    // The driver may read a register in a loop fewer times than recorded: the number depends on the clock.
    while (repeats_last_read(reader_.peek()) && !repeats_last_read(request)) {
      consume();
      skip_optional_events();
    }
    const RecordEvent next = reader_.peek();
    const bool same = next.kind == request.kind && next.bar == request.bar && next.width == request.width &&
                      next.offset == request.offset && next.queue == request.queue &&
                      (request.kind == Kind::read || request.kind == Kind::config_read || next.value == request.value ||
                       is_ring_base(request));
    if (!same) {
      if (!is_after_the_run(request)) diverge(request);
      return std::nullopt;
    }
    return next;
  }
  [[nodiscard]] Result<RecordEvent> answer_call(const RecordEvent& request) {
    auto event = answer(request);
    if (!event) {
      return fail(ErrorCode::device_removed, progress_->divergence(),
                  "replay with the driver and the calls that were recorded");
    }
    consume();
    return *event;
  }
  /// Whether it accesses a 32-bit register of the window that the layout describes.
  [[nodiscard]] bool is_word(const RecordEvent& event) const noexcept {
    return event.bar == layout_.bar && event.width == 4;
  }
  [[nodiscard]] std::optional<RingRegister> ring_register(const RecordEvent& event) const noexcept {
    return is_word(event) ? find_ring_register(layout_, event.offset) : std::nullopt;
  }
  // The base address of a ring may differ from that of the recording.
  [[nodiscard]] bool is_ring_base(const RecordEvent& request) const noexcept {
    const auto ring = request.kind == Kind::write ? ring_register(request) : std::nullopt;
    return ring && ring->is_base();
  }
  [[nodiscard]] bool is_doorbell(const RecordEvent& event) const noexcept {
    const auto ring = event.kind == Kind::write ? ring_register(event) : std::nullopt;
    return ring && ring->role == Role::tail;
  }
  // Ctrl-C or a clock ended the recorded run between two polls, and may end this one later. Until its port is stopped,
  // too, doorbells have no effect.
  [[nodiscard]] bool is_after_the_run(const RecordEvent& request) {
    if (!is_doorbell(request) || reader_.peek().kind == Kind::end) return false;
    if (stopped_at_ == reader_.position()) return true;
    if (reader_.any_left([this](const RecordEvent& event) { return is_doorbell(event); })) return false;
    stopped_at_ = reader_.position();
    context_->log(LogLevel::info, fmt::format("{}: the recorded port was stopped here; stop this one, too", name_));
    return true;
  }
  [[nodiscard]] bool is_counter(const RecordEvent& event) const noexcept {
    return event.kind == Kind::read && is_word(event) && layout_.is_counter(event.offset);
  }
  [[nodiscard]] bool is_status(const RecordEvent& event) const noexcept {
    return event.kind == Kind::read && is_word(event) && layout_.is_status(event.offset);
  }
  /// Whether `event` reads the same register as the previous request.
  [[nodiscard]] bool repeats_last_read(const RecordEvent& event) const noexcept {
    return last_read_ && event.kind == Kind::read && event.bar == last_read_->bar && event.width == last_read_->width &&
           event.offset == last_read_->offset;
  }
  void skip_counters() {
    while (is_counter(reader_.peek())) {
      counters_[reader_.peek().offset] += reader_.peek().value;
      consume();
    }
  }
  /// Skips reads of counters and status registers, which the driver need not repeat.
  void skip_reads() {
    for (skip_counters(); is_status(reader_.peek()); skip_counters()) {
      statuses_[reader_.peek().offset] = reader_.peek().value;
      consume();
    }
  }
  // Returns the recorded value if the recording reads the register here, else the last value recorded before. Reads of
  // other status registers are passed: the driver may never repeat them.
  [[nodiscard]] std::uint32_t read_status(std::uint32_t offset) {
    for (bool found = false; !found;) {
      skip_counters();
      const RecordEvent next = reader_.peek();
      if (!is_status(next)) break;
      statuses_[next.offset] = next.value;
      consume();
      found = next.offset == offset;
    }
    return statuses_[offset];
  }
  /// Skips events that the driver need not repeat: polls, and reads of counters and status registers.
  void skip_optional_events() {
    for (skip_reads(); reader_.peek().kind == Kind::flush || is_from_card(reader_.peek().kind); skip_reads()) consume();
  }
  /// Consumes the event and applies all card events that follow it.
  void consume() {
    flushes_ = 0;
    do {
      if (is_from_card(reader_.peek().kind)) apply_card_event(reader_.peek());
      reader_.advance();
    } while (is_from_card(reader_.peek().kind));
    if (reader_.peek().kind == Kind::end) progress_->at_end_.store(true, std::memory_order_release);
  }
  void apply_card_event(const RecordEvent& event) {
    if (event.kind == Kind::removed) removed_.store(true, std::memory_order_release);
    if (event.kind == Kind::interrupt && event.queue < event_fds_.size()) {
      static_cast<void>(::eventfd_write(event_fds_[event.queue], 1));
    }
    if (event.kind != Kind::write_back) return;
    if (event.bar >= rings_.size() || event.queue >= rings_[event.bar].size()) return;
    DriverRing& ring = rings_[event.bar][event.queue];
    if (event.slot >= ring.size()) return;
    ring.write_buffers(*memory_, layout_, event);  // before the descriptor, as a card does
    ring.descriptors().store(event.slot, event.descriptor);
  }
  void diverge(const RecordEvent& request) {
    diverged_ = true;
    removed_.store(true, std::memory_order_release);
    const std::string text =
        fmt::format("{}: event {}: the driver made {}, but the recording has {}", name_, reader_.position(),
                    describe(request, layout_), describe(reader_.peek(), layout_));
    {
      const std::lock_guard lock(progress_->mutex_);
      progress_->divergence_ = text;
    }
    context_->log(LogLevel::error, text +
                                       ": replay it with the program, options and release that recorded it; "
                                       "the replay of a run that was stopped by hand ends so, too");
  }

  std::shared_ptr<ContextState> context_;
  std::string name_;
  std::mutex mutex_;
  RecordReader reader_;
  const CardLayout& layout_;
  std::shared_ptr<ReplayProgress> progress_;
  std::shared_ptr<MemoryMap> memory_ = std::make_shared<MemoryMap>();
  bool attached_ = false;
  std::atomic<bool> removed_{false};
  bool diverged_ = false;
  std::optional<std::uint64_t> stopped_at_;  // position of the event with which the recorded port began to stop
  std::optional<RecordEvent> last_read_;
  std::uint32_t last_read_value_ = 0;
  std::uint32_t flushes_ = 0;                        // made by the driver since the last event
  std::vector<std::vector<DriverRing>> rings_;       // by kind
  std::map<std::uint32_t, std::uint32_t> statuses_;  // last recorded value, by offset
  std::map<std::uint32_t, std::uint32_t> counters_;  // sum of recorded values not read yet, by offset
  std::array<std::unique_ptr<Window>, 6> windows_;
  std::vector<FileDescriptor> events_;
  std::vector<int> event_fds_;
};

Result<std::unique_ptr<Device>> replay_device(Context& context, const std::string& file, const FindLayout& find,
                                              std::shared_ptr<ReplayProgress> progress) {
  auto bytes = read_file(file);
  if (!bytes) return pass_on(std::move(bytes));
  auto reader = RecordReader::open(*std::move(bytes));
  if (!reader) {
    Error error = std::move(reader).error();
    error.what = fmt::format("{}: {}", file, error.what);
    return tl::unexpected<Error>(std::move(error));
  }
  const PciIdentity card = reader->header().identity;
  const CardLayout* const layout = find(card);
  if (layout == nullptr) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: recorded with the unknown card {:04x}:{:04x}", file, card.vendor, card.device),
                "replay it with the release that made it");
  }
  if (auto valid = check_layout(*layout); !valid) return pass_on(std::move(valid));
  if (!reader->complete()) {
    context.log(LogLevel::warning, fmt::format("{}: the recording has no end mark; replaying its whole events", file));
  }
  if (progress == nullptr) progress = std::make_shared<ReplayProgress>();
  auto device = std::make_unique<ReplayDevice>(context.state(), fmt::format("replay:{}", file), *std::move(reader),
                                               *layout, std::move(progress));
  if (auto prepared = device->prepare(); !prepared) return pass_on(std::move(prepared));
  return device;
}

}  // namespace pollux
