// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/mem/offload.hpp"

namespace pollux {

/// What a port may tell of frames that it received (RxMetadata). It tells it where it can: a frame without a TCP header
/// has no TCP checksum.
struct RxOffload {
  enum Flag : std::uint32_t {
    ipv4_checksum = 1U << 0,
    tcp_checksum = 1U << 1,
    udp_checksum = 1U << 2,
    sctp_checksum = 1U << 3,
    partial_checksum = 1U << 4,  ///< frames may arrive with a checksum that is still to be computed
    rss_hash = 1U << 5,
    packet_type = 1U << 6,
    vlan = 1U << 7,  ///< tags are stripped off
    timestamp = 1U << 8,
  };
};

/// What a port takes upon itself, as data: a program looks before it asks. tx_burst drops a frame that asks for more as
/// `tx_unsupported_offload`, and one whose request does not fit its own bytes as `tx_bad_offload`.
struct OffloadLimits {
  std::uint32_t tx_flags = 0;           ///< of TxOffload: what a frame may ask for
  std::uint32_t tx_software_flags = 0;  ///< those among them that the sending thread computes, since nobody else does
  std::uint32_t rx_flags = 0;           ///< of RxOffload
  std::uint16_t max_l2 = 0;             ///< bytes: the longest TxOffload::l2, outer headers included
  std::uint16_t max_l3 = 0;             ///< bytes: the longest TxOffload::l3
  std::uint16_t max_segments = 0;       ///< mbufs of a frame that asks for segmentation
  std::uint32_t max_tso = 0;            ///< bytes of a frame that asks for segmentation; 0: none may

  [[nodiscard]] constexpr bool operator==(const OffloadLimits&) const noexcept = default;
};

}  // namespace pollux
