// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>

/// PCI identifiers of VMware's network devices. Linux, include/linux/pci_ids.h and drivers/net/vmxnet3.
namespace pollux::hw::vmxnet3 {

inline constexpr std::uint16_t kVendorId = 0x15AD;
inline constexpr std::uint16_t kDeviceId = 0x07B0;
inline constexpr std::string_view kName = "VMware vmxnet3";
/// The device before it, which has other registers and rings.
inline constexpr std::uint16_t kOldDeviceId = 0x0720;
inline constexpr std::string_view kOldName = "VMware vmxnet";

}  // namespace pollux::hw::vmxnet3
