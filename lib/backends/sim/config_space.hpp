// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "pollux/device/device_model.hpp"

namespace pollux::sim {

/// The configuration space of an in-process card: its header, and the capabilities power management, MSI, MSI-X, PCI
/// Express, error reporting, virtual functions, and those of its vendor. A virtual function has MSI-X and PCI Express.
/// PCI Local Bus 3.0, 6.1 and 6.8, PCI Power Management 1.2, 3.2, and PCI Express Base, "PCI Express Capability
/// Structure", as given in Linux, include/uapi/linux/pci_regs.h.
class ConfigSpace {
 public:
  static constexpr std::uint32_t kSize = 4096;
  static constexpr std::uint32_t kCommand = 0x04;
  static constexpr std::uint32_t kCommandMemory = 0x0002;
  static constexpr std::uint32_t kCommandMaster = 0x0004;
  static constexpr std::uint32_t kCommandDisablePin = 0x0400;
  static constexpr std::uint32_t kStatus = 0x06;
  static constexpr std::uint32_t kStatusInterrupt = 0x0008;
  static constexpr std::uint32_t kInterruptPin = 0x3D;
  static constexpr std::uint32_t kPowerManagement = 0x40;
  static constexpr std::uint32_t kPowerState = kPowerManagement + 4;
  static constexpr std::uint32_t kPowerStateMask = 0x0003;
  static constexpr std::uint32_t kWakeStatus = 0x8000;
  static constexpr std::uint32_t kMsi = 0x50;
  static constexpr std::uint32_t kMsiControl = kMsi + 2;
  static constexpr std::uint32_t kMsiEnable = 0x0001;
  static constexpr std::uint32_t kMsix = 0x70;
  static constexpr std::uint32_t kMsixControl = kMsix + 2;
  static constexpr std::uint32_t kMsixEnable = 0x8000;
  static constexpr std::uint32_t kMsixTable = kMsix + 4;
  static constexpr std::uint32_t kMsixBarMask = 0x0007;
  static constexpr std::uint32_t kExpress = 0xA0;
  static constexpr std::uint32_t kDeviceControl = kExpress + 8;
  static constexpr std::uint32_t kInitiateReset = 0x8000;
  static constexpr std::uint32_t kLinkStatus = kExpress + 0x12;
  static constexpr std::uint32_t kDeviceControl2 = kExpress + 0x28;

  /// Advanced error reporting is first in the list of extended capabilities, and single root I/O virtualization second.
  static constexpr std::uint32_t kErrors = 0x100;
  static constexpr std::uint32_t kFunctions = 0x160;
  static constexpr std::uint32_t kFunctionsBytes = 0x40;
  static constexpr std::uint32_t kFunctionsControl = kFunctions + 8;
  static constexpr std::uint32_t kFunctionsEnable = 0x0001;
  static constexpr std::uint32_t kFunctionsNumber = kFunctions + 0x10;

  explicit ConfigSpace(DeviceModel& card);

  /// `width` must be 1, 2 or 4, and `offset` a multiple of it below kSize. The caller checks this.
  [[nodiscard]] std::uint32_t read(std::uint32_t offset, unsigned width) const noexcept;
  /// Changes the writable bits only.
  void write(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept;

  /// Whether the card may access memory: bus mastering is enabled, and the power state is D0.
  [[nodiscard]] bool bus_master() const noexcept {
    return (read(kCommand, 2) & kCommandMaster) != 0 && power_state() == 0;
  }
  /// 0 for D0, 3 for D3hot.
  [[nodiscard]] std::uint32_t power_state() const noexcept { return read(kPowerState, 2) & kPowerStateMask; }
  [[nodiscard]] InterruptMode interrupt_mode() const noexcept;
  void enable_msix(bool enabled) noexcept;
  /// The offset of an access in the card's live capability; nothing if it does not lie in what the card answers.
  [[nodiscard]] std::optional<std::uint32_t> in_live_capability(std::uint32_t offset, unsigned width) const noexcept {
    if (offset < live_at_ + kLiveFrom || offset + width > live_end_) return std::nullopt;
    return offset - live_at_;
  }
  /// Sets the status register's interrupt bit, which reads do not change.
  void set_interrupt_pending(bool pending) noexcept;
  /// Sets PME_Status, which a write of 1 clears: see `ends_wake_request`.
  void set_wake_requested(bool requested) noexcept;
  /// Whether a write of `value` has a 1 for PME_Status.
  [[nodiscard]] static bool ends_wake_request(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept;
  /// The number of virtual functions that the card can have.
  [[nodiscard]] unsigned max_functions() const noexcept { return max_functions_; }
  /// The number of virtual functions that are enabled.
  [[nodiscard]] unsigned functions() const noexcept;
  /// Sets the capability of virtual functions to its values after a reset.
  void disable_functions() noexcept;
  /// Sets all registers to their values after a reset.
  void reset() noexcept { bytes_ = initial_; }
  [[nodiscard]] std::uint16_t device_control2() const noexcept {
    return static_cast<std::uint16_t>(read(kDeviceControl2, 2));
  }
  /// True if a function-level reset was requested. Clears the request, because the bit always reads as zero.
  [[nodiscard]] bool take_reset_request() noexcept;

 private:
  void define_interrupts(const DeviceModel& card);
  void define_vendor(const DeviceModel& card);
  void define_functions(unsigned count, DeviceModel& first);
  void define(std::uint32_t offset, unsigned width, std::uint32_t value, std::uint32_t writable = 0);

  std::array<std::uint8_t, kSize> bytes_{};
  std::array<std::uint8_t, kSize> initial_{};
  std::array<std::uint8_t, kSize> writable_{};
  unsigned max_functions_ = 0;
  static constexpr std::uint32_t kLiveFrom = 4;
  std::uint32_t live_at_ = 0;  // the live capability; it ends before `live_end_`
  std::uint32_t live_end_ = 0;
};

}  // namespace pollux::sim
