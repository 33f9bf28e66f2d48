// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "net/checksums.hpp"
#include "net/frame_size.hpp"
#include "pollux/net/offload_limits.hpp"
#include "pollux/net/port_config.hpp"

namespace pollux::ports {

/// The largest MTU for which the length of a frame fits 16 bits.
inline constexpr std::uint32_t kMaxMtu = 65535 - frame_bytes(0);

/// The longest frame that may request segmentation: an IP packet of the greatest length with two VLAN tags.
inline constexpr std::uint32_t kMaxSegmentedFrame = 65535 + kEthernetHeaderBytes + 2 * kVlanTagBytes;

/// The datagrams of a frame that requests UDP segmentation: Linux, include/linux/udp.h, UDP_MAX_SEGMENTS, which was 64
/// before it became 128. A kernel drops a frame of more.
inline constexpr std::uint16_t kMaxDatagrams = 64;

/// The limits of a software port. All software ports differ only in their numbers of queues.
[[nodiscard]] constexpr PortLimits common_limits(std::uint16_t rx_queues, std::uint16_t tx_queues) noexcept {
  return {.max_rx_queues = rx_queues,
          .max_tx_queues = tx_queues,
          .min_ring = 8,
          .max_ring = 4096,
          .min_mtu = kMinMtu,
          .max_mtu = kMaxMtu,
          .max_tx_segments = 255,
          .min_frame = kEthernetHeaderBytes,
          .max_rx_segments = 255,
          .count_bytes = true};
}

/// The offloads of a software port. Every software port accepts frames with partial checksums; `in_software` are the
/// checksums that it computes itself.
[[nodiscard]] constexpr OffloadLimits common_offloads(std::uint32_t in_software, std::uint32_t rx_flags = 0) noexcept {
  return {.tx_flags = TxOffload::kChecksums,
          .tx_software_flags = in_software,
          .rx_flags = rx_flags,
          .max_l2 = kMaxHeader,
          .max_l3 = kMaxHeader};
}

}  // namespace pollux::ports
