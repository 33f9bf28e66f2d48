// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

/// What Intel's gigabit cards have in common besides registers.
namespace pollux::hw::gigabit {

/// The registers are in BAR 0, which has 128 KiB.
inline constexpr std::uint32_t kRegisterBytes = 128 * 1024;
inline constexpr std::uint32_t kRegisterBar = 0;
/// BAR 3 holds the MSI-X table.
inline constexpr std::uint32_t kMsixBar = 3;

/// 32-bit words of the multicast hash filter and of the VLAN filter: 4096 bits each.
inline constexpr std::uint32_t kMulticastTableWords = 128;
inline constexpr std::uint32_t kVlanTableWords = 128;

}  // namespace pollux::hw::gigabit
