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

/// Kinds of operation at which a fault can be injected. The occurrences of each kind are counted from 0.
enum class FaultPoint : std::uint8_t {
  access,          ///< a register is read or written
  read,            ///< a register is read
  write,           ///< a register is written
  call,            ///< a member function of Device that can fail is called
  map,             ///< memory is mapped for the device's DMA
  unmap,           ///< memory is unmapped
  vector,          ///< an interrupt vector is enabled
  stuck_register,  ///< the register of FaultPlan::stuck is read or written
};
inline constexpr std::size_t kFaultPoints = 8;  ///< number of values of FaultPoint

/// Kinds of fault. docs/82576/faults.md lists the result of each for the user of a driver.
enum class FaultKind : std::uint8_t {
  none,                ///< no fault: occurrences are only counted
  removal,             ///< the card is removed: registers and configuration space read as all ones, DMA stops
  removal_event,       ///< the host asks for the device to be released; the card continues to work
  error_event,         ///< the platform reports an uncorrected PCI error; the card continues to work
  action,              ///< FaultPlan::action is called before the access
  stuck_register,      ///< bits of the register FaultPlan::stuck are stuck, or writes to it are ignored
  ones,                ///< a read returns all ones and does not reach the card
  zeros,               ///< a read returns zero and does not reach the card
  lost_write,          ///< a write does not reach the card
  call_fails,          ///< a call of a member function of Device returns FaultPlan::error and does nothing
  map_fails,           ///< mapping memory fails with FaultPlan::error
  unmap_fails,         ///< unmapping memory fails with FaultPlan::error
  lost_interrupts,     ///< a vector never signals
  spurious_interrupt,  ///< every enabled vector signals although the card sent no interrupt
};
/// The fault point whose occurrences FaultPlan::at counts for this kind.
[[nodiscard]] POLLUX_API FaultPoint point_of(FaultKind kind) noexcept;

/// A defective 32-bit register of BAR 0. A narrower access gets the part of it that it accesses.
struct StuckRegister {
  std::uint32_t offset = 0;     ///< in bytes
  std::uint32_t set = 0;        ///< bits that always read as one
  std::uint32_t clear = 0;      ///< bits that always read as zero
  bool ignores_writes = false;  ///< writes do not reach the card
};

/// Describes one fault to inject.
struct FaultPlan {
  /// A `count` for a fault that does not end.
  static constexpr std::uint64_t kForEver = std::numeric_limits<std::uint64_t>::max();

  FaultKind kind = FaultKind::none;       ///< none: occurrences are only counted
  std::uint64_t at = 0;                   ///< the first occurrence of `point_of(kind)` at which the fault is injected
  std::uint64_t count = 1;                ///< consecutive occurrences; a removal lasts until FaultInjector::disable
  ErrorCode error = ErrorCode::io_error;  ///< what the calls of `call_fails`, `map_fails` and `unmap_fails` return
  StuckRegister stuck = {};               ///< for FaultKind::stuck_register
  /// May access the device's registers; these accesses are not counted. Must not throw.
  std::function<void()> action = nullptr;
};

/// Parses a fault: "KIND@AT" or "KIND@ATxCOUNT", such as "removal@1200", "ones@3x2" or "lost-write@40". AT is 0 if
/// omitted. The kinds are those of FaultKind, with "-" for "_", except `none` and `action`. A stuck register is written
/// as "stuck-register=0xE018" (ignores writes), "stuck-register=0x14+0x10000" (these bits always read as one) or
/// "stuck-register=0x14-0x10000" (as zero), and stays so for ever if COUNT is omitted.
/// Error: invalid_argument; the hint lists the kinds.
[[nodiscard]] POLLUX_API Result<FaultPlan> parse_fault(std::string_view text);

/// Counts occurrences of fault points and decides when the planned fault is injected. A test and the device share it.
/// Thread rule: any thread. `action` is called on the thread that accesses the register.
class POLLUX_API FaultInjector {
 public:
  /// The plan cannot be changed later, except by `disable`.
  explicit FaultInjector(FaultPlan plan = {});
  FaultInjector(const FaultInjector&) = delete;
  FaultInjector& operator=(const FaultInjector&) = delete;

  /// As given to the constructor.
  [[nodiscard]] const FaultPlan& plan() const noexcept { return plan_; }
  /// Number of occurrences of `point` so far.
  [[nodiscard]] std::uint64_t occurrences(FaultPoint point) const noexcept;
  /// Whether the fault has been injected at least once.
  [[nodiscard]] bool triggered() const noexcept { return triggers_.load(std::memory_order_relaxed) != 0; }
  /// Offset of the register whose access first triggered the fault; 0 if none has.
  [[nodiscard]] std::uint32_t trigger_register() const noexcept { return register_.load(std::memory_order_relaxed); }
  /// Ends the fault. It is not injected again, and a removed card is present again.
  void disable() noexcept { disabled_.store(true, std::memory_order_relaxed); }
  /// Whether `disable` was called.
  [[nodiscard]] bool disabled() const noexcept { return disabled_.load(std::memory_order_relaxed); }

  /// Counts one occurrence of `point` and returns whether the fault is to be injected there. Called by devices.
  [[nodiscard]] bool should_inject(FaultPoint point, std::uint32_t register_offset = 0) noexcept;

 private:
  const FaultPlan plan_;
  std::array<std::atomic<std::uint64_t>, kFaultPoints> occurrences_{};
  std::atomic<std::uint64_t> triggers_{0};
  std::atomic<std::uint32_t> register_{0};
  std::atomic<bool> disabled_{false};
};

/// Wraps `device` in one that injects the planned fault. The register windows of the result are remote. As long as the
/// result exists, the Context has one more DMA domain; it maps nothing and fails only when the plan says so.
/// Errors: those of Context::attach, and those planned for `map` at the first occurrences.
[[nodiscard]] POLLUX_API Result<std::unique_ptr<Device>> with_faults(Context& context, std::unique_ptr<Device> device,
                                                                     std::shared_ptr<FaultInjector> faults);

}  // namespace pollux
