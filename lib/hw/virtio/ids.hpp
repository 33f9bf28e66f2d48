// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>

/// PCI identifiers of virtio network devices. VIRTIO 1.2, 4.1.2 "PCI Device Discovery".
namespace pollux::hw::virtio {

inline constexpr std::uint16_t kVendorId = 0x1AF4;
/// 0x1040 plus the device type of a network device, which is 1 (5.1 "Network Device").
inline constexpr std::uint16_t kNetDeviceId = 0x1041;
/// A transitional device: it has the interface of VIRTIO 1.0 and later, and also the legacy interface. A legacy device
/// has this id, too, but none of the capabilities of pci.hpp.
inline constexpr std::uint16_t kTransitionalNetDeviceId = 0x1000;
inline constexpr std::uint16_t kNetDeviceType = 1;
inline constexpr std::string_view kNetName = "virtio network device";

}  // namespace pollux::hw::virtio
