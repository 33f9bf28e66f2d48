// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "hw/igb/limits.hpp"
#include "pollux/net/port_config.hpp"

namespace pollux::igb {

inline constexpr std::uint32_t kEthernetHeaderBytes = 14;

/// [I-JUMBO] The MTU that the longest frame leaves: 9,728 bytes less header, CRC and room for one VLAN tag, so that a
/// tagged frame passes at any MTU.
inline constexpr std::uint32_t kMaxMtu =
    hw::igb::kMaxFrameBytes - kEthernetHeaderBytes - hw::igb::kVlanTagBytes - hw::igb::kCrcBytes;
static_assert(kMaxMtu == 9706);
/// The least that IPv4 asks of a link (RFC 791).
inline constexpr std::uint32_t kMinMtu = 68;

/// The longest frame in memory for an MTU: header, one VLAN tag, payload; no CRC.
[[nodiscard]] constexpr std::uint32_t frame_bytes(std::uint32_t mtu) noexcept {
  return mtu + kEthernetHeaderBytes + hw::igb::kVlanTagBytes;
}
/// The same on the wire, CRC included: what RLPML holds.
[[nodiscard]] constexpr std::uint32_t wire_bytes(std::uint32_t mtu) noexcept {
  return frame_bytes(mtu) + hw::igb::kCrcBytes;
}

[[nodiscard]] PortLimits port_limits() noexcept;

}  // namespace pollux::igb
