// SPDX-License-Identifier: BSD-3-Clause
#include "backends/sim/device.hpp"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "mem/context_state.hpp"

namespace pollux::sim {
namespace {

/// Avoids iova + length, which could wrap.
bool covers(const DmaSegment& segment, std::uint64_t iova, std::size_t length) noexcept {
  return iova >= segment.iova && length <= segment.size && iova - segment.iova <= segment.size - length;
}

}  // namespace

std::vector<IovaRange> Domain::usable_iova() const {
  // The ranges of a type1 container with a 48-bit IOMMU: all but the window of interrupt messages.
  return {{0, 0xFEDFFFFF}, {0xFEF00000, (std::uint64_t{1} << 48) - 1}};
}

Result<void> Domain::map(const DmaSegment& segment) {
  const std::lock_guard guard(*lock_);
  const auto after = segments_.upper_bound(segment.iova);
  const bool runs_into_next = after != segments_.end() && after->first - segment.iova < segment.size;
  const bool lies_in_previous =
      after != segments_.begin() && segment.iova - std::prev(after)->first < std::prev(after)->second.size;
  if (segment.size == 0 || runs_into_next || lies_in_previous) {
    return fail(ErrorCode::invalid_argument, fmt::format("sim domain: {:#x} is already mapped", segment.iova));
  }
  segments_.emplace(segment.iova, segment);
  return {};
}

Result<void> Domain::unmap(const DmaSegment& segment) {
  const std::lock_guard guard(*lock_);
  const auto found = segments_.find(segment.iova);
  if (found == segments_.end() || found->second.size != segment.size) {
    return fail(ErrorCode::not_found, fmt::format("sim domain: nothing of that size is mapped at {:#x}", segment.iova));
  }
  segments_.erase(found);
  recent_ = {};
  return {};
}

std::string Domain::take_report() {
  const std::lock_guard guard(*lock_);
  const std::uint64_t count = refused() - reported_.exchange(refused(), std::memory_order_relaxed);
  return fmt::format("{} accesses {} were refused; the last one had {} bytes at {:#x}", count, why_refused_,
                     refused_length_, refused_iova_);
}

std::size_t Domain::contiguous(std::uint64_t iova, std::size_t length) const noexcept {
  for (const DmaSegment& segment : recent_) {
    if (covers(segment, iova, length)) return length;
  }
  const auto after = segments_.upper_bound(iova);
  if (after == segments_.begin()) return length;
  const DmaSegment& segment = std::prev(after)->second;
  const std::uint64_t offset = iova - segment.iova;
  if (offset >= segment.size) return length;
  return static_cast<std::size_t>(std::min<std::uint64_t>(length, segment.size - offset));
}

std::byte* Domain::refuse(const char* why, std::uint64_t iova, std::size_t length) noexcept {
  why_refused_ = why;
  refused_iova_ = iova;
  refused_length_ = length;
  refused_.fetch_add(1, std::memory_order_relaxed);
  return nullptr;
}

std::byte* Domain::find(std::uint64_t iova, std::size_t length, bool writes) noexcept {
  budget_->charge(length);
  if (budget_->is_overdrawn()) [[unlikely]]
    return refuse("beyond what a card may do in one call", iova, length);
  const auto allows = [&](const DmaSegment& segment) {
    return covers(segment, iova, length) && (segment.writable || !writes);
  };
  for (const DmaSegment& segment : recent_) {
    if (allows(segment)) return segment.address + (iova - segment.iova);
  }
  const auto after = segments_.upper_bound(iova);
  if (after == segments_.begin() || !allows(std::prev(after)->second))
    return refuse("to unmapped memory", iova, length);
  const DmaSegment& segment = std::prev(after)->second;
  recent_[oldest_] = segment;
  oldest_ = (oldest_ + 1) % recent_.size();
  return segment.address + (iova - segment.iova);
}

namespace {

constexpr std::uint32_t kEntryBytes = 16;
constexpr std::uint32_t kEntryControl = 12;
/// A platform waits 100 ms after a function-level reset. This card is ready much sooner.
constexpr Duration kResetTime = std::chrono::milliseconds(2);
constexpr Duration kReportInterval = std::chrono::minutes(1);

}  // namespace

std::uint32_t SimDevice::Window::read_narrow(std::uint32_t offset, unsigned width) noexcept {
  if (device_.refuses_access()) return part_of_word(~std::uint32_t{0}, offset, width);
  const std::uint32_t value =
      wire_.with_card(place_, [&](DeviceModel& card) { return card.read(bar_, offset, width); });
  device_.log_refused_accesses();
  device_.log_wire_reports();
  return value;
}

void SimDevice::Window::write_narrow(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept {
  if (device_.refuses_access()) return;
  wire_.write_register({place_, bar_, offset, width, value});
  device_.log_refused_accesses();
}

void SimDevice::Window::flush() noexcept { wire_.flush(); }

bool SimDevice::refuses_access() noexcept {
  if (!asleep_.load(std::memory_order_relaxed)) [[likely]]
    return false;
  ++accesses_asleep_;
  return true;
}

// Called after the access, without the wire's lock: the application's log callback may do anything. The client of a
// device server can cause as many as it likes.
void SimDevice::log_refused_accesses(bool now) {
  if (!domain_->has_report()) [[likely]]
    return;
  const Time time = context_->clock().now();
  Time next = next_report_.load(std::memory_order_relaxed);
  if ((!now && time < next) || !next_report_.compare_exchange_strong(next, time + kReportInterval)) return;
  context_->log(LogLevel::error, fmt::format("{}: {}", name_, domain_->take_report()));
}

void SimDevice::log_wire_reports() {
  if (!wire_->has_reports()) [[likely]]
    return;
  for (const WireReport& report : wire_->take_reports())
    context_->log(report.level, fmt::format("{}: {}", name_, report.text));
}

Result<std::unique_ptr<SimDevice>> SimDevice::create(Context& context, std::string name, std::shared_ptr<Wire> wire,
                                                     unsigned place) {
  // Allocated before the claim, so that a failed allocation leaves nothing claimed.
  std::unique_ptr<SimDevice> device(new SimDevice(context, std::move(name), std::move(wire), place));
  if (!device->wire_->claim(place)) {
    return fail(ErrorCode::busy, fmt::format("{} is already open", device->name_),
                "close its port, or use another card");
  }
  device->claimed_ = true;
  device->wire_->with_card(place,
                           [&device](DeviceModel& card) { card.set_interrupt_mode(device->config_.interrupt_mode()); });
  if (auto attached = context.attach(device->domain_); !attached) return pass_on(std::move(attached));
  device->attached_ = true;
  return device;
}

SimDevice::SimDevice(Context& context, std::string name, std::shared_ptr<Wire> wire, unsigned place)
    : context_(context.state()),
      name_(std::move(name)),
      wire_(std::move(wire)),
      place_(place),
      identity_(wire_->with_card(place, [](DeviceModel& card) { return card.identity(); })),
      vectors_(wire_->with_card(place, [](DeviceModel& card) { return card.interrupt_vectors(); })),
      config_(wire_->with_card(place, [](DeviceModel& card) { return ConfigSpace(card); })),
      domain_(std::make_shared<Domain>(wire_->lock(), wire_->budget())) {
  for (unsigned index = 0; index < windows_.size(); ++index) {
    windows_[index] = std::make_unique<Window>(*this, index);
  }
}

SimDevice::~SimDevice() {
  if (!claimed_) return;
  wire_->with_card(place_, [](DeviceModel& card) {
    card.set_dma(nullptr);
    card.on_interrupt({});
    card.reset();
  });
  if (attached_) context_->detach(*domain_);
  wire_->release(place_);
  log_refused_accesses(true);
  log_wire_reports();
}

Result<void> SimDevice::check_config_access(std::uint32_t offset, unsigned width) const {
  const bool good_width = width == 1 || width == 2 || width == 4;
  if (good_width && offset < ConfigSpace::kSize && offset % width == 0) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("{}: invalid configuration access of {} bytes at {:#x}", name_, width, offset),
              "use 1, 2 or 4 bytes at a multiple of that size below 4096");
}

Result<std::uint32_t> SimDevice::read_config(std::uint32_t offset, unsigned width) {
  if (auto valid = check_config_access(offset, width); !valid) return pass_on(std::move(valid));
  if (const auto live = config_.in_live_capability(offset, width)) {
    return wire_->with_card(place_, [&](DeviceModel& card) { return card.read_capability(*live, width); });
  }
  wire_->with_card(place_, [this](DeviceModel& card) {
    config_.set_interrupt_pending(card.interrupt_pending());
    config_.set_wake_requested(card.wake_requested());
  });
  return config_.read(offset, width);
}

Result<void> SimDevice::write_config(std::uint32_t offset, unsigned width, std::uint32_t value) {
  if (auto valid = check_config_access(offset, width); !valid) return valid;
  if (const auto live = config_.in_live_capability(offset, width)) {
    wire_->with_card(place_, [&](DeviceModel& card) { card.write_capability(*live, width, value); });
    return {};
  }
  const bool slept = config_.power_state() != 0;
  const unsigned functions = config_.functions();
  config_.write(offset, width, value);
  // The way back from D3hot is a reset, too, since No_Soft_Reset is clear (PCI Power Management 1.2, 5.4.1).
  const bool wakes = slept && config_.power_state() == 0;
  const bool reset = config_.take_reset_request() || wakes;
  if (reset) config_.reset();
  // The platform restores it together with the table (reset_card), as VFIO does: Linux, vfio_pci_set_power_state.
  if (wakes && !event_numbers_.empty()) config_.enable_msix(true);
  asleep_ = config_.power_state() != 0;
  const bool master = config_.bus_master();
  const InterruptMode mode = config_.interrupt_mode();
  wire_->with_card(place_, [&](DeviceModel& card) {
    if (ConfigSpace::ends_wake_request(offset, width, value)) card.end_wake_request();
    if (reset) reset_card(card);
    card.set_dma(master ? domain_.get() : nullptr);
    card.set_interrupt_mode(mode);
    card.set_device_control2(config_.device_control2());
    if (config_.functions() != functions) card.enable_functions(config_.functions());
  });
  return {};
}

Result<Bar> SimDevice::bar(unsigned index) {
  const std::size_t size =
      wire_->with_card(place_, [index](DeviceModel& card) { return index < 6 ? card.bar_size(index) : 0; });
  if (size == 0) {
    return fail(ErrorCode::invalid_argument, fmt::format("{} has no base address register {}", name_, index));
  }
  return Bar(*windows_[index], size);
}

Result<void> SimDevice::set_bus_master(bool enabled) {
  const std::uint32_t command = config_.read(ConfigSpace::kCommand, 2);
  const std::uint32_t master = ConfigSpace::kCommandMaster;
  return write_config(ConfigSpace::kCommand, 2, enabled ? command | master : command & ~master);
}

Result<void> SimDevice::reset() {
  if (config_.power_state() != 0) {
    if (auto awake = write_config(ConfigSpace::kPowerState, 2, 0); !awake) return awake;
  }
  config_.disable_functions();
  wire_->with_card(place_, [this](DeviceModel& card) { reset_card(card); });
  context_->clock().sleep_for(kResetTime);
  return {};
}

// PCI Express Base, "Single Root I/O Virtualization": NumVFs may change only while VF Enable is clear. As in Linux,
// drivers/pci/pci-sysfs.c, sriov_numvfs_store.
Result<void> SimDevice::set_functions(unsigned count) {
  if (count > max_functions()) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("{}: {} virtual functions were requested, and it can have {}", name_, count, max_functions()),
        "request fewer, of a card that has virtual functions");
  }
  if (count == functions()) return {};
  if (count != 0 && functions() != 0) {
    return fail(ErrorCode::busy, fmt::format("{}: {} virtual functions are enabled", name_, functions()),
                "disable them first");
  }
  if (auto numbered = write_config(ConfigSpace::kFunctionsNumber, 2, count); !numbered) return numbered;
  return write_config(ConfigSpace::kFunctionsControl, 2, count == 0 ? 0 : ConfigSpace::kFunctionsEnable);
}

// A reset clears the MSI-X table. The platform restores it, as the kernel does after a function-level reset.
void SimDevice::reset_card(DeviceModel& card) {
  card.reset();
  if (!event_numbers_.empty()) mask_vectors(card, static_cast<unsigned>(event_numbers_.size()));
}

void SimDevice::mask_vectors(DeviceModel& card, unsigned unmasked) {
  const std::uint32_t table = config_.read(ConfigSpace::kMsixTable, 4);
  const unsigned bar = table & ConfigSpace::kMsixBarMask;
  for (unsigned vector = 0; vector < vectors_; ++vector) {
    card.write32(bar, (table & ~ConfigSpace::kMsixBarMask) + vector * kEntryBytes + kEntryControl,
                 vector < unmasked ? 0 : 1);
  }
}

Result<std::span<const int>> SimDevice::enable_interrupts(unsigned count) {
  if (count > vectors_) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {} interrupt vectors were requested", name_, count),
                fmt::format("it has {}", vectors_));
  }
  std::vector<FileDescriptor> events;
  std::vector<int> numbers;
  events.reserve(count);  // so that no eventfd is lost if an allocation fails
  numbers.reserve(count);
  for (unsigned i = 0; i < count; ++i) {
    events.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!events.back()) {
      return fail_errno(ErrorCode::io_error, fmt::format("{}: the eventfd of vector {} cannot be created", name_, i),
                        errno);
    }
    numbers.push_back(events.back().get());
  }
  wire_->with_card(place_, [&](DeviceModel& card) {
    events_ = std::move(events);
    event_numbers_ = std::move(numbers);
    card.on_interrupt([this](unsigned vector) {
      const std::uint64_t one = 1;
      // The write fails only if the event's counter is full. The event is signalled then, too.
      if (vector < event_numbers_.size()) static_cast<void>(!::write(event_numbers_[vector], &one, sizeof one));
    });
    // MSI-X is enabled in configuration space, as by VFIO. If software has enabled MSI, vector 0 is its message.
    config_.enable_msix(count != 0);
    card.set_interrupt_mode(config_.interrupt_mode());
    mask_vectors(card, count);
  });
  return std::span<const int>(event_numbers_);
}

}  // namespace pollux::sim
