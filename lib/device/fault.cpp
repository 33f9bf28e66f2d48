// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "device/decorator.hpp"
#include "mem/context_state.hpp"
#include "pollux/device/fault.hpp"

namespace pollux {
namespace {

using Name = std::pair<std::string_view, FaultKind>;

constexpr std::array<Name, 11> kNames{{{"removal", FaultKind::removal},
                                       {"removal-event", FaultKind::removal_event},
                                       {"error-event", FaultKind::error_event},
                                       {"ones", FaultKind::ones},
                                       {"zeros", FaultKind::zeros},
                                       {"lost-write", FaultKind::lost_write},
                                       {"call-fails", FaultKind::call_fails},
                                       {"map-fails", FaultKind::map_fails},
                                       {"unmap-fails", FaultKind::unmap_fails},
                                       {"lost-interrupts", FaultKind::lost_interrupts},
                                       {"spurious-interrupt", FaultKind::spurious_interrupt}}};

constexpr std::string_view kStuck = "stuck-register=";

template <class Number = std::uint64_t>
std::optional<Number> number(std::string_view digits, int base = 10) {
  Number value = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stopped, error] = std::from_chars(digits.data(), end, value, base);
  if (error != std::errc() || stopped != end || digits.empty()) return std::nullopt;
  return value;
}

/// A number of 32 bits, in hexadecimal digits after "0x".
std::optional<std::uint32_t> word(std::string_view text) {
  return text.starts_with("0x") ? number<std::uint32_t>(text.substr(2), 16) : number<std::uint32_t>(text);
}

/// OFFSET, OFFSET+BITS or OFFSET-BITS.
std::optional<StuckRegister> stuck_register(std::string_view text) {
  const std::size_t sign = text.find_first_of("+-");
  const auto offset = word(text.substr(0, sign));
  if (!offset || *offset % sizeof(std::uint32_t) != 0) return std::nullopt;
  if (sign == std::string_view::npos) return StuckRegister{.offset = *offset, .ignores_writes = true};
  const auto bits = word(text.substr(sign + 1));
  if (!bits || *bits == 0) return std::nullopt;
  StuckRegister stuck{.offset = *offset};
  (text[sign] == '+' ? stuck.set : stuck.clear) = *bits;
  return stuck;
}

tl::unexpected<Error> reject(std::string_view text, std::string_view why) {
  std::vector<std::string_view> names;
  for (const Name& name : kNames) names.push_back(name.first);
  return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a valid fault: {}", text, why),
              fmt::format("write KIND@AT or KIND@ATxCOUNT; the kinds are {}, and {}REGISTER with +BITS or -BITS",
                          fmt::join(names, ", "), kStuck));
}

constexpr std::uint32_t kAllOnes = ~std::uint32_t{0};
constexpr const char* kInjectedHint = "this fault was injected; open the device without it";

}  // namespace

Result<FaultPlan> parse_fault(std::string_view text) {
  const std::size_t at = text.find('@');
  const std::string_view kind = text.substr(0, at);
  FaultPlan plan;
  if (kind.starts_with(kStuck)) {
    const auto stuck = stuck_register(kind.substr(kStuck.size()));
    if (!stuck) return reject(text, "REGISTER is an offset such as 0xE018, BITS are those that always read as 1 or 0");
    plan = {.kind = FaultKind::stuck_register, .count = FaultPlan::kForEver, .stuck = *stuck};
  } else {
    const auto name =
        std::find_if(kNames.begin(), kNames.end(), [&](const Name& known) { return known.first == kind; });
    if (name == kNames.end()) return reject(text, "unknown kind");
    plan.kind = name->second;
  }
  if (at == std::string_view::npos) return plan;
  const std::string_view numbers = text.substr(at + 1);
  const std::size_t times = numbers.find('x');
  const auto first = number(numbers.substr(0, times));
  const auto count =
      times == std::string_view::npos ? std::optional<std::uint64_t>(plan.count) : number(numbers.substr(times + 1));
  if (!first || !count || *count == 0) return reject(text, "AT must be a number, and COUNT a number above 0");
  plan.at = *first;
  plan.count = *count;
  return plan;
}

FaultPoint point_of(FaultKind kind) noexcept {
  switch (kind) {
    case FaultKind::ones:
    case FaultKind::zeros: return FaultPoint::read;
    case FaultKind::lost_write: return FaultPoint::write;
    case FaultKind::call_fails: return FaultPoint::call;
    case FaultKind::map_fails: return FaultPoint::map;
    case FaultKind::unmap_fails: return FaultPoint::unmap;
    case FaultKind::stuck_register: return FaultPoint::stuck_register;
    case FaultKind::lost_interrupts: return FaultPoint::vector;
    default: return FaultPoint::access;
  }
}

FaultInjector::FaultInjector(FaultPlan plan) : plan_(std::move(plan)) {}

std::uint64_t FaultInjector::occurrences(FaultPoint point) const noexcept {
  return occurrences_[static_cast<std::size_t>(point)].load(std::memory_order_relaxed);
}

bool FaultInjector::should_inject(FaultPoint point, std::uint32_t register_offset) noexcept {
  const std::uint64_t occurrence =
      occurrences_[static_cast<std::size_t>(point)].fetch_add(1, std::memory_order_relaxed);
  if (plan_.kind == FaultKind::none || point != point_of(plan_.kind) || disabled()) return false;
  if (occurrence < plan_.at || occurrence - plan_.at >= plan_.count) return false;
  if (triggers_.fetch_add(1, std::memory_order_relaxed) == 0) {
    register_.store(register_offset, std::memory_order_relaxed);
  }
  return true;
}

/// A DMA domain without a device. It is attached to the Context so that mapping memory can be made to fail.
class FaultDomain final : public DmaDomain {
 public:
  FaultDomain(std::vector<IovaRange> usable, std::shared_ptr<FaultInjector> faults)
      : usable_(std::move(usable)), faults_(std::move(faults)) {}

  [[nodiscard]] std::string_view name() const override { return "fault domain"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override { return usable_; }
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override {
    if (!faults_->should_inject(FaultPoint::map)) return {};
    return fail(faults_->plan().error,
                fmt::format("fault domain: {} bytes at {:#x} could not be mapped", segment.size, segment.iova),
                kInjectedHint);
  }
  [[nodiscard]] Result<void> unmap(const DmaSegment& segment) override {
    if (!faults_->should_inject(FaultPoint::unmap)) return {};
    return fail(faults_->plan().error,
                fmt::format("fault domain: {} bytes at {:#x} could not be unmapped", segment.size, segment.iova),
                kInjectedHint);
  }

 private:
  std::vector<IovaRange> usable_;
  std::shared_ptr<FaultInjector> faults_;
};

/// See with_faults.
class FaultDevice final : public DeviceDecorator {
 public:
  FaultDevice(std::shared_ptr<ContextState> context, std::unique_ptr<Device> inner,
              std::shared_ptr<FaultInjector> faults)
      : DeviceDecorator(std::move(inner)),
        context_(std::move(context)),
        faults_(std::move(faults)),
        domain_(std::make_shared<FaultDomain>(this->inner().dma_domain().usable_iova(), faults_)) {}
  ~FaultDevice() override {
    if (attached_) context_->detach(*domain_);
  }
  /// Attaches the domain and creates the eventfd for faults that signal one.
  [[nodiscard]] Result<void> prepare() {
    event_ = FileDescriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event_) {
      return fail_errno(ErrorCode::io_error, fmt::format("{}: cannot create an eventfd for fault injection", name()),
                        errno, "raise the limit of open files (ulimit -n)");
    }
    auto attached = context_->attach(domain_);
    attached_ = attached.has_value();
    return attached;
  }

  [[nodiscard]] Result<std::uint32_t> read_config(std::uint32_t offset, unsigned width) override {
    if (auto entered = enter_call("reading its configuration space"); !entered) {
      if (!removed_by_fault() || entered.error().code != ErrorCode::device_removed) return pass_on(std::move(entered));
      return width >= sizeof(std::uint32_t) ? kAllOnes : (1U << width * 8) - 1;
    }
    return DeviceDecorator::read_config(offset, width);
  }
  [[nodiscard]] Result<void> write_config(std::uint32_t offset, unsigned width, std::uint32_t value) override {
    if (auto entered = enter_call("writing its configuration space"); !entered) {
      if (removed_by_fault() && entered.error().code == ErrorCode::device_removed) return {};
      return entered;
    }
    return DeviceDecorator::write_config(offset, width, value);
  }
  [[nodiscard]] Result<Bar> bar(unsigned index) override {
    if (auto entered = enter_call("mapping a register window"); !entered) {
      if (!removed_by_fault()) return pass_on(std::move(entered));
    }
    return DeviceDecorator::bar(index);
  }
  [[nodiscard]] Result<void> set_bus_master(bool enabled) override {
    auto entered = enter_call("setting bus mastering");
    return entered ? DeviceDecorator::set_bus_master(enabled) : entered;
  }
  [[nodiscard]] Result<void> reset() override {
    auto entered = enter_call("resetting it");
    return entered ? DeviceDecorator::reset() : entered;
  }
  [[nodiscard]] Result<std::span<const int>> enable_interrupts(unsigned count) override {
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
  [[nodiscard]] int error_event() const override {
    return is(FaultKind::error_event) ? event_.get() : DeviceDecorator::error_event();
  }
  [[nodiscard]] int removal_event() const override {
    return is(FaultKind::removal_event) ? event_.get() : DeviceDecorator::removal_event();
  }
  [[nodiscard]] bool removed() const override {
    const bool requested = release_requested_.load(std::memory_order_relaxed) && !faults_->disabled();
    return removed_by_fault() || requested || DeviceDecorator::removed();
  }

 private:
  [[nodiscard]] std::uint32_t read_register(unsigned bar, std::uint32_t offset, unsigned width) noexcept override {
    enter_access(offset);
    const bool stuck = is_stuck(bar, offset);
    if (!in_action_ && faults_->should_inject(FaultPoint::read, offset)) return is(FaultKind::ones) ? kAllOnes : 0;
    if (removed_by_fault()) return kAllOnes;
    const std::uint32_t value = DeviceDecorator::read_register(bar, offset, width);
    const StuckRegister& bits = faults_->plan().stuck;
    if (!stuck) return value;
    return (value | part_of_word(bits.set, offset, width)) & ~part_of_word(bits.clear, offset, width);
  }
  void write_register(unsigned bar, std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override {
    enter_access(offset);
    const bool stuck = is_stuck(bar, offset);
    if (!in_action_ && faults_->should_inject(FaultPoint::write, offset)) return;
    if (removed_by_fault() || (stuck && faults_->plan().stuck.ignores_writes)) return;
    DeviceDecorator::write_register(bar, offset, width, value);
  }

  [[nodiscard]] bool removed_by_fault() const noexcept {
    return removed_by_fault_.load(std::memory_order_relaxed) && !faults_->disabled();
  }
  /// Counts an access, and injects a fault planned for it.
  void enter_access(std::uint32_t offset) noexcept {
    if (in_action_ || !faults_->should_inject(FaultPoint::access, offset)) return;
    switch (faults_->plan().kind) {
      case FaultKind::removal:
        // A removed card accesses no memory either. An error is ignored, since a real removal makes this call fail,
        // too.
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
  /// Counts an access if the register is FaultPlan::stuck. Returns whether it is stuck now.
  [[nodiscard]] bool is_stuck(unsigned bar, std::uint32_t offset) noexcept {
    if (!is(FaultKind::stuck_register) || in_action_ || bar != 0) return false;
    if (word_of(offset) != faults_->plan().stuck.offset) return false;
    return faults_->should_inject(FaultPoint::stuck_register, offset);
  }
  void raise_all_vectors() noexcept {
    for (const int vector : vectors_) static_cast<void>(::eventfd_write(vector, 1));
  }
  /// Counts a call. Returns an error if the call is planned to fail or the card is removed.
  [[nodiscard]] Result<void> enter_call(const char* what) {
    if (faults_->should_inject(FaultPoint::call)) {
      return fail(faults_->plan().error, fmt::format("{}: {} failed", name(), what), kInjectedHint);
    }
    if (removed_by_fault())
      return fail(ErrorCode::device_removed, fmt::format("{}: {}: the card was removed", name(), what), kInjectedHint);
    return {};
  }
  [[nodiscard]] bool is(FaultKind kind) const noexcept { return faults_->plan().kind == kind; }

  std::shared_ptr<ContextState> context_;
  std::shared_ptr<FaultInjector> faults_;
  std::shared_ptr<FaultDomain> domain_;
  bool attached_ = false;
  FileDescriptor event_;                // for removal_event and error_event
  std::vector<FileDescriptor> silent_;  // replace the eventfds of vectors whose interrupts are lost
  std::vector<int> vectors_;
  std::atomic<bool> removed_by_fault_{false};
  std::atomic<bool> release_requested_{false};
  std::atomic<bool> in_action_{false};  // accesses inside an action are not counted
};

Result<std::unique_ptr<Device>> with_faults(Context& context, std::unique_ptr<Device> device,
                                            std::shared_ptr<FaultInjector> faults) {
  auto faulty = std::make_unique<FaultDevice>(context.state(), std::move(device), std::move(faults));
  if (auto prepared = faulty->prepare(); !prepared) return pass_on(std::move(prepared));
  return std::unique_ptr<Device>(std::move(faulty));
}

}  // namespace pollux
