// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

/// PCI identifiers of the 82576. Linux igb, e1000_hw.h; QEMU, hw/net/igb_regs.h.
namespace pollux::hw::igb {

inline constexpr std::uint16_t kVendorId = 0x8086;

/// The subsystem of QEMU's igb, which says of no card but QEMU's own that it is emulated: QEMU, include/hw/pci/pci.h,
/// PCI_SUBVENDOR_ID_REDHAT_QUMRANET and PCI_SUBDEVICE_ID_QEMU, the default of a device that sets none (hw/net/igb.c).
inline constexpr std::uint16_t kQemuSubsystemVendor = 0x1AF4;
inline constexpr std::uint16_t kQemuSubsystem = 0x1100;

/// What a port's MAC is joined to.
enum class Media : std::uint8_t { copper, fiber, serdes };

struct DeviceId {
  std::uint16_t id;
  Media media;
  std::string_view name;
};

inline constexpr std::array<DeviceId, 8> kDeviceIds{{
    {0x10C9, Media::copper, "82576"},
    {0x10E6, Media::fiber, "82576 fiber"},
    {0x10E7, Media::serdes, "82576 SerDes"},
    {0x10E8, Media::copper, "82576 quad copper"},
    {0x1526, Media::copper, "82576 quad copper ET2"},
    {0x150A, Media::copper, "82576NS"},
    {0x1518, Media::serdes, "82576NS SerDes"},
    {0x150D, Media::serdes, "82576 quad SerDes"},
}};

/// The entry of a physical function, or nullptr for any other device.
[[nodiscard]] constexpr const DeviceId* find_device(std::uint16_t vendor, std::uint16_t device) noexcept {
  if (vendor != kVendorId) return nullptr;
  for (const DeviceId& entry : kDeviceIds) {
    if (entry.id == device) return &entry;
  }
  return nullptr;
}

}  // namespace pollux::hw::igb
