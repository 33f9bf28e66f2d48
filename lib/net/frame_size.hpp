// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/net/settings.hpp"

namespace pollux {

inline constexpr std::uint32_t kEthernetHeaderBytes = 14;
inline constexpr std::uint32_t kVlanTagBytes = 4;
inline constexpr std::uint32_t kFcsBytes = 4;

/// The smallest MTU that IPv4 allows (RFC 791).
inline constexpr std::uint32_t kMinMtu = 68;

/// The longest frame in memory for an MTU: header, one VLAN tag and payload, without FCS.
[[nodiscard]] constexpr std::uint32_t frame_bytes(std::uint32_t mtu) noexcept {
  return mtu + kEthernetHeaderBytes + kVlanTagBytes;
}
/// What a received frame has after that in memory.
[[nodiscard]] constexpr std::uint32_t kept_fcs_bytes(const Settings& settings) noexcept {
  return settings.keep_fcs ? kFcsBytes : 0;
}
/// The length on the wire for an MTU, with FCS.
[[nodiscard]] constexpr std::uint32_t wire_bytes(std::uint32_t mtu) noexcept { return frame_bytes(mtu) + kFcsBytes; }

/// The longest frame that may request segmentation: an IP packet of the greatest length with two VLAN tags.
inline constexpr std::uint32_t kMaxSegmentedFrame = 65535 + kEthernetHeaderBytes + 2 * kVlanTagBytes;

/// The datagrams of a frame that requests UDP segmentation: Linux, include/linux/udp.h, UDP_MAX_SEGMENTS, which was 64
/// before it became 128. A kernel drops a frame of more.
inline constexpr std::uint16_t kMaxDatagrams = 64;

/// The TCP segments of a frame for a virtio device, which may refuse what makes very many: 16 bytes each of the
/// longest.
inline constexpr std::uint16_t kMaxTcpSegments = 4096;

/// A card's `octets` counter minus the FCS of each of `frames`.
[[nodiscard]] constexpr std::uint64_t octets_without_fcs(std::uint64_t octets, std::uint64_t frames) noexcept {
  const std::uint64_t fcs = frames * kFcsBytes;
  return octets > fcs ? octets - fcs : 0;
}

}  // namespace pollux
