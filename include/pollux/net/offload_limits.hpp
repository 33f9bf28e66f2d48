// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/mem/offload.hpp"

namespace pollux {

/// What a port can report about received frames (RxMetadata), if it applies to the frame: a frame without a TCP header
/// has no TCP checksum. To combine with `|`.
enum class RxOffload : std::uint32_t {
  ipv4_checksum = 1U << 0,     ///< RxMetadata::ip_checksum
  tcp_checksum = 1U << 1,      ///< RxMetadata::l4_checksum
  udp_checksum = 1U << 2,      ///< RxMetadata::l4_checksum
  sctp_checksum = 1U << 3,     ///< RxMetadata::l4_checksum
  partial_checksum = 1U << 4,  ///< frames may arrive with a checksum that is not computed yet
  rss_hash = 1U << 5,          ///< RxMetadata::rss_hash
  packet_type = 1U << 6,       ///< RxMetadata::packet_type
  vlan = 1U << 7,              ///< the port strips VLAN tags
  timestamp = 1U << 8,         ///< Mbuf::timestamp
};
/// Combines flags.
///@{
[[nodiscard]] constexpr RxOffload operator|(RxOffload a, RxOffload b) noexcept {
  return static_cast<RxOffload>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
constexpr RxOffload& operator|=(RxOffload& flags, RxOffload more) noexcept { return flags = flags | more; }
///@}

/// The offloads that a port supports, as data that a program can check first. tx_burst drops a frame that requests
/// more: as `tx_unsupported_offload` for a flag, and for the limits of segmentation as `tx_too_long`,
/// `tx_too_many_segments` and `tx_unfit_headers`. A frame whose request does not fit its bytes counts as
/// `tx_bad_offload`.
struct OffloadLimits {
  std::uint32_t tx_flags = 0;  ///< TxOffload flags that a frame may request
  std::uint32_t tx_software_flags =
      0;  ///< those of them that the sending thread always computes in software; the others it may compute, too
  RxOffload rx_flags{};            ///< what metadata may contain: see `reports`
  std::uint16_t max_l2 = 0;        ///< bytes: the longest TxOffload::l2, outer headers included
  std::uint16_t max_l3 = 0;        ///< bytes: the longest TxOffload::l3
  std::uint16_t max_segments = 0;  ///< mbufs of a frame that requests segmentation; see PortLimits::max_tx_segments
  /// Bytes of a frame that requests segmentation; 0: not supported. Its IPv4 packet has at most 65,535, and its IPv6
  /// packet as many behind the header.
  std::uint32_t max_tso = 0;
  std::uint16_t max_tso_headers = UINT16_MAX;   ///< bytes of its headers, all of them in its first mbuf
  std::uint16_t max_tcp_segments = UINT16_MAX;  ///< segments of a frame that requests TxOffload::tcp_segmentation
  std::uint16_t max_datagrams = UINT16_MAX;     ///< datagrams of a frame that requests TxOffload::udp_segmentation
  /// Segments TCP packets in a tunnel (UDP as with VXLAN and Geneve, GRE without checksum and sequence number, or IP in
  /// IP), as Linux's GSO_PARTIAL: the payload is a multiple of TxOffload::segment_size, and all segments have the inner
  /// IPv4 identification of the request.
  bool segments_tunnels = false;

  /// Whether metadata may contain all of `flags`.
  [[nodiscard]] constexpr bool reports(RxOffload flags) const noexcept { return (rx_flags | flags) == rx_flags; }
  [[nodiscard]] constexpr bool operator==(const OffloadLimits&) const noexcept = default;
};

}  // namespace pollux
