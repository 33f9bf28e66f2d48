// SPDX-License-Identifier: BSD-3-Clause
#include "device/fault_device.hpp"

#include <fmt/format.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <utility>

namespace pollux {
namespace {

constexpr std::uint32_t kAllOnes = ~std::uint32_t{0};
constexpr const char* kInjectedHint = "this fault was injected; open the device without it";

}  // namespace

FaultDomain::FaultDomain(std::vector<IovaRange> usable, std::shared_ptr<FaultInjector> faults)
    : usable_(std::move(usable)), faults_(std::move(faults)) {}

Result<void> FaultDomain::map(const DmaSegment& segment) {
  if (!faults_->should_inject(FaultPoint::map)) return {};
  return fail(faults_->plan().error,
              fmt::format("fault domain: {} bytes at {:#x} could not be mapped", segment.size, segment.iova),
              kInjectedHint);
}

Result<void> FaultDomain::unmap(const DmaSegment& segment) {
  if (!faults_->should_inject(FaultPoint::unmap)) return {};
  return fail(faults_->plan().error,
              fmt::format("fault domain: {} bytes at {:#x} could not be unmapped", segment.size, segment.iova),
              kInjectedHint);
}

FaultDevice::FaultDevice(std::shared_ptr<ContextState> context, std::unique_ptr<Device> inner,
                         std::shared_ptr<FaultInjector> faults)
    : DeviceDecorator(std::move(inner)),
      context_(std::move(context)),
      faults_(std::move(faults)),
      domain_(std::make_shared<FaultDomain>(this->inner().dma_domain().usable_iova(), faults_)) {}

FaultDevice::~FaultDevice() {
  if (attached_) context_->detach(*domain_);
}

Result<void> FaultDevice::prepare() {
  event_ = FileDescriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event_) {
    return fail_errno(ErrorCode::io_error, fmt::format("{}: cannot create an eventfd for fault injection", name()),
                      errno, "raise the limit of open files (ulimit -n)");
  }
  auto attached = context_->attach(domain_);
  attached_ = attached.has_value();
  return attached;
}

void FaultDevice::enter_access(std::uint32_t offset) noexcept {
  if (in_action_ || !faults_->should_inject(FaultPoint::access, offset)) return;
  switch (faults_->plan().kind) {
    case FaultKind::removal:
      // A removed card accesses no memory either. An error is ignored, since a real removal makes this call fail, too.
      if (!removed_by_fault_.exchange(true)) static_cast<void>(inner().set_bus_master(false));
      break;
    case FaultKind::removal_event: release_requested_.store(true); [[fallthrough]];
    case FaultKind::error_event: static_cast<void>(::eventfd_write(event_.get(), 1)); break;
    case FaultKind::action:
      in_action_ = true;
      if (faults_->plan().action) faults_->plan().action();
      in_action_ = false;
      break;
    case FaultKind::spurious_interrupt: raise_all_vectors(); break;
    default: break;
  }
}

bool FaultDevice::is_stuck(unsigned bar, std::uint32_t offset) noexcept {
  if (!is(FaultKind::stuck_register) || in_action_ || bar != 0) return false;
  if (word_of(offset) != faults_->plan().stuck.offset) return false;
  return faults_->should_inject(FaultPoint::stuck_register, offset);
}

std::uint32_t FaultDevice::read_register(unsigned bar, std::uint32_t offset, unsigned width) noexcept {
  enter_access(offset);
  const bool stuck = is_stuck(bar, offset);
  if (!in_action_ && faults_->should_inject(FaultPoint::read, offset)) return is(FaultKind::ones) ? kAllOnes : 0;
  if (removed_by_fault()) return kAllOnes;
  const std::uint32_t value = DeviceDecorator::read_register(bar, offset, width);
  const StuckRegister& bits = faults_->plan().stuck;
  if (!stuck) return value;
  return (value | part_of_word(bits.set, offset, width)) & ~part_of_word(bits.clear, offset, width);
}

void FaultDevice::write_register(unsigned bar, std::uint32_t offset, unsigned width, std::uint32_t value) noexcept {
  enter_access(offset);
  const bool stuck = is_stuck(bar, offset);
  if (!in_action_ && faults_->should_inject(FaultPoint::write, offset)) return;
  if (removed_by_fault() || (stuck && faults_->plan().stuck.ignores_writes)) return;
  DeviceDecorator::write_register(bar, offset, width, value);
}

Result<void> FaultDevice::enter_call(const char* what) {
  if (faults_->should_inject(FaultPoint::call)) {
    return fail(faults_->plan().error, fmt::format("{}: {} failed", name(), what), kInjectedHint);
  }
  if (removed_by_fault())
    return fail(ErrorCode::device_removed, fmt::format("{}: {}: the card was removed", name(), what), kInjectedHint);
  return {};
}

Result<std::uint32_t> FaultDevice::read_config(std::uint32_t offset, unsigned width) {
  if (auto entered = enter_call("reading its configuration space"); !entered) {
    if (!removed_by_fault() || entered.error().code != ErrorCode::device_removed) return pass_on(std::move(entered));
    return width >= sizeof(std::uint32_t) ? kAllOnes : (1U << width * 8) - 1;
  }
  return DeviceDecorator::read_config(offset, width);
}

Result<void> FaultDevice::write_config(std::uint32_t offset, unsigned width, std::uint32_t value) {
  if (auto entered = enter_call("writing its configuration space"); !entered) {
    if (removed_by_fault() && entered.error().code == ErrorCode::device_removed) return {};
    return entered;
  }
  return DeviceDecorator::write_config(offset, width, value);
}

Result<Bar> FaultDevice::bar(unsigned index) {
  if (auto entered = enter_call("mapping a register window"); !entered) {
    if (!removed_by_fault()) return pass_on(std::move(entered));
  }
  return DeviceDecorator::bar(index);
}

Result<void> FaultDevice::set_bus_master(bool enabled) {
  auto entered = enter_call("setting bus mastering");
  return entered ? DeviceDecorator::set_bus_master(enabled) : entered;
}

Result<void> FaultDevice::reset() {
  auto entered = enter_call("resetting it");
  return entered ? DeviceDecorator::reset() : entered;
}

Result<std::span<const int>> FaultDevice::enable_interrupts(unsigned count) {
  if (auto entered = enter_call("enabling its interrupts"); !entered) return pass_on(std::move(entered));
  auto events = DeviceDecorator::enable_interrupts(count);
  if (!events) return events;
  vectors_.assign(events->begin(), events->end());
  silent_.clear();
  silent_.reserve(vectors_.size());
  for (int& vector : vectors_) {
    if (!faults_->should_inject(FaultPoint::vector)) continue;
    silent_.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    vector = silent_.back().get();
  }
  return std::span<const int>(vectors_);
}

void FaultDevice::raise_all_vectors() noexcept {
  for (const int vector : vectors_) static_cast<void>(::eventfd_write(vector, 1));
}

int FaultDevice::error_event() const {
  return is(FaultKind::error_event) ? event_.get() : DeviceDecorator::error_event();
}

int FaultDevice::removal_event() const {
  return is(FaultKind::removal_event) ? event_.get() : DeviceDecorator::removal_event();
}

bool FaultDevice::removed() const {
  const bool requested = release_requested_.load(std::memory_order_relaxed) && !faults_->disabled();
  return removed_by_fault() || requested || DeviceDecorator::removed();
}

Result<std::unique_ptr<Device>> with_faults(Context& context, std::unique_ptr<Device> device,
                                            std::shared_ptr<FaultInjector> faults) {
  auto faulty = std::make_unique<FaultDevice>(context.state(), std::move(device), std::move(faults));
  if (auto prepared = faulty->prepare(); !prepared) return pass_on(std::move(prepared));
  return std::unique_ptr<Device>(std::move(faulty));
}

}  // namespace pollux
