// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string_view>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"

namespace pollux {

/// Where a device can go wrong: each happening of these is a place that a fault can be ordered for, counted from 0.
enum class FaultPoint : std::uint8_t {
  access,  ///< a register is read or written
  read,    ///< a register is read
  write,   ///< a register is written
  call,    ///< a member function of Device that can fail is called
  map,     ///< memory is mapped for the device's DMA
  unmap,   ///< memory is unmapped
  vector,  ///< an interrupt vector is enabled
  lie,     ///< the register of FaultPlan::lie is read or written
};
inline constexpr std::size_t kFaultPoints = 8;

/// What goes wrong with a device. What a driver's user gets for each is in docs/82576/faults.md.
enum class FaultKind : std::uint8_t {
  none,                ///< nothing: only the places are counted
  removal,             ///< at an access the card goes away: all ones from registers and configuration space, no DMA
  removal_event,       ///< at an access the host asks for the device back; the card goes on
  error_event,         ///< at an access the platform reports an uncorrected error; the card goes on
  action,              ///< at an access FaultPlan::action is called first
  liar,                ///< at an access to the register of FaultPlan::lie, that is not what it should be
  ones,                ///< a read is answered with all ones and does not reach the card
  zeros,               ///< a read is answered with zero and does not reach the card
  lost_write,          ///< a write does not reach the card
  call_fails,          ///< a call of the Device returns FaultPlan::error and does nothing
  map_fails,           ///< memory cannot be mapped: FaultPlan::error
  unmap_fails,         ///< memory cannot be unmapped: FaultPlan::error
  lost_interrupts,     ///< a vector never signals
  spurious_interrupt,  ///< at an access every vector that is enabled signals, for no reason of the card's
};
[[nodiscard]] POLLUX_API FaultPoint point_of(FaultKind kind) noexcept;

/// A register of BAR 0 that lies.
struct RegisterLie {
  std::uint32_t offset = 0;     ///< bytes
  std::uint32_t set = 0;        ///< bits that always read as one
  std::uint32_t clear = 0;      ///< bits that always read as zero
  bool ignores_writes = false;  ///< writes do not reach the card
};

/// One fault, ordered.
struct FaultPlan {
  static constexpr std::uint64_t kForEver = std::numeric_limits<std::uint64_t>::max();

  FaultKind kind = FaultKind::none;
  std::uint64_t at = 0;     ///< the first place that it strikes, of those of `point_of(kind)`
  std::uint64_t count = 1;  ///< places in a row that it strikes; a removal stays until it is lifted
  ErrorCode error = ErrorCode::io_error;
  RegisterLie lie = {};
  std::function<void()> action = nullptr;  ///< may use the device's own registers, which are no places then
};

/// A fault as a text: "KIND@PLACE" or "KIND@PLACExCOUNT", such as "removal@1200", "ones@3x2" or "lost-write@40"; place
/// 0 if none is given. The kinds are those above, with "-" for "_", but `none`, `action` and `liar`. Error:
/// invalid_argument; the hint lists the kinds.
[[nodiscard]] POLLUX_API Result<FaultPlan> parse_fault(std::string_view text);

/// Holds a plan, counts places and says when the fault strikes. Shared by whoever orders the fault and the device.
/// Thread rule: any thread, but `action` is called on whichever accesses the register.
class POLLUX_API FaultInjector {
 public:
  explicit FaultInjector(FaultPlan plan = {});
  FaultInjector(const FaultInjector&) = delete;
  FaultInjector& operator=(const FaultInjector&) = delete;

  [[nodiscard]] const FaultPlan& plan() const noexcept { return plan_; }
  /// Places of that kind that have come by.
  [[nodiscard]] std::uint64_t places(FaultPoint point) const noexcept;
  /// Whether the fault has struck at all.
  [[nodiscard]] bool struck() const noexcept { return strikes_.load(std::memory_order_relaxed) != 0; }
  /// Offset of the register at whose access it struck first; 0 where it struck elsewhere or not yet.
  [[nodiscard]] std::uint32_t struck_register() const noexcept { return register_.load(std::memory_order_relaxed); }
  /// Ends the fault: it does not strike again, and a card that went away is back in its slot.
  void lift() noexcept { lifted_.store(true, std::memory_order_relaxed); }
  [[nodiscard]] bool lifted() const noexcept { return lifted_.load(std::memory_order_relaxed); }

  /// Counts a place; whether the fault strikes there. For devices.
  [[nodiscard]] bool strikes(FaultPoint point, std::uint32_t register_offset = 0) noexcept;

 private:
  const FaultPlan plan_;
  std::array<std::atomic<std::uint64_t>, kFaultPoints> places_{};
  std::atomic<std::uint64_t> strikes_{0};
  std::atomic<std::uint32_t> register_{0};
  std::atomic<bool> lifted_{false};
};

/// Puts the fault in front of `device`: whoever drives the result meets it. The result has remote register windows,
/// whatever the inner device has, and while it lives the Context has one more DMA domain, which maps nothing and only
/// fails when the plan says so.
/// Errors: those of Context::attach, and those ordered for the first places of `map`.
[[nodiscard]] POLLUX_API Result<std::unique_ptr<Device>> with_faults(Context& context, std::unique_ptr<Device> device,
                                                                     std::shared_ptr<FaultInjector> faults);

}  // namespace pollux
