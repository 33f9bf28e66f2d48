// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>

/// PCI identifiers of virtual functions. Linux igbvf, netdev.c, igbvf_pci_tbl; QEMU, hw/net/igbvf.c.
namespace pollux::hw::igbvf {

inline constexpr std::uint16_t kVendorId = 0x8086;
inline constexpr std::uint16_t kDeviceId = 0x10CA;
inline constexpr std::string_view kName = "82576 virtual function";

}  // namespace pollux::hw::igbvf
