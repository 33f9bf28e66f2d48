// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

/// PCI identifiers of virtual functions. Linux igbvf, netdev.c, igbvf_pci_tbl; QEMU, hw/net/igbvf.c.
namespace pollux::hw::igbvf {

inline constexpr std::uint16_t kVendorId = 0x8086;

struct DeviceId {
  std::uint16_t id;
  std::string_view name;
};

inline constexpr std::array<DeviceId, 1> kDeviceIds{{{0x10CA, "82576 virtual function"}}};

/// nullptr for any other device.
[[nodiscard]] constexpr const DeviceId* find_device(std::uint16_t vendor, std::uint16_t device) noexcept {
  if (vendor != kVendorId) return nullptr;
  for (const DeviceId& entry : kDeviceIds) {
    if (entry.id == device) return &entry;
  }
  return nullptr;
}

}  // namespace pollux::hw::igbvf
