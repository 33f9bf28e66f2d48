// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>

#include "pollux/device/device_model.hpp"

namespace pollux::sim {

/// The configuration space of an in-process card: its header, MSI-X and PCI Express capabilities. PCI Local
/// Bus 3.0, 6.1 and 6.8.2, and PCI Express Base, "PCI Express Capability Structure", as given in Linux,
/// include/uapi/linux/pci_regs.h.
class ConfigSpace {
 public:
  static constexpr std::uint32_t kSize = 4096;
  static constexpr std::uint32_t kCommand = 0x04;
  static constexpr std::uint32_t kCommandMemory = 0x0002;
  static constexpr std::uint32_t kCommandMaster = 0x0004;
  static constexpr std::uint32_t kMsix = 0x70;
  static constexpr std::uint32_t kMsixBar = 3;
  static constexpr std::uint32_t kExpress = 0xA0;
  static constexpr std::uint32_t kDeviceControl = kExpress + 8;
  static constexpr std::uint32_t kInitiateReset = 0x8000;

  explicit ConfigSpace(const DeviceModel& card);

  /// `width` must be 1, 2 or 4, and `offset` a multiple of it below kSize. The caller checks this.
  [[nodiscard]] std::uint32_t read(std::uint32_t offset, unsigned width) const noexcept;
  /// Changes the writable bits only.
  void write(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept;

  [[nodiscard]] bool bus_master() const noexcept { return (read(kCommand, 2) & kCommandMaster) != 0; }
  /// True if a function-level reset was requested. Clears the request, because the bit always reads as zero.
  [[nodiscard]] bool take_reset_request() noexcept;

 private:
  void define(std::uint32_t offset, unsigned width, std::uint32_t value, std::uint32_t writable = 0);

  std::array<std::uint8_t, kSize> bytes_{};
  std::array<std::uint8_t, kSize> writable_{};
};

}  // namespace pollux::sim
