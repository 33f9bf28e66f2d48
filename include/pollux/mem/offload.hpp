// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace pollux {

/// What is known of a checksum, whichever way its frame goes.
enum class ChecksumStatus : std::uint8_t {
  unknown,  ///< nobody looked
  good,
  bad,
  partial,  ///< still to be computed: the frame's TxOffload says where; its bytes were never on a wire
};

/// What the sender asks the port to do with a frame (`Mbuf::set_tx_offload`). What a port takes is data:
/// OffloadLimits. A frame whose request a port does not take is dropped under a named counter, and never sent as it is.
///
/// The four lengths are those of the headers as they follow each other; a frame that is in no tunnel has no outer ones:
///
///     outer_l2 | outer_l3 | l2                      | l3 | l4 | payload
///                           with the tunnel's own
///
/// A checksum that is asked for is `partial` until the request is met. Its field holds, as in Linux (CHECKSUM_PARTIAL),
/// virtio-net (VIRTIO_NET_HDR_F_NEEDS_CSUM) and DPDK:
/// - TCP and UDP: the sum of the pseudo-header, folded to 16 bits and not inverted (`request_checksums` writes it);
/// - IPv4 and SCTP: anything.
struct TxOffload {
  enum Flag : std::uint32_t {
    ipv4_checksum = 1U << 0,        ///< of the header of `l3` bytes
    tcp_checksum = 1U << 1,         ///< of these three one at most
    udp_checksum = 1U << 2,         ///< a sum of 0 is sent as 0xFFFF
    sctp_checksum = 1U << 3,        ///< CRC32c
    tcp_segmentation = 1U << 4,     ///< implies tcp_checksum
    insert_vlan = 1U << 5,          ///< `vlan` behind the addresses
    timestamp = 1U << 6,            ///< the card notes when the frame left
    udp_segmentation = 1U << 7,     ///< implies udp_checksum
    insert_outer_vlan = 1U << 8,    ///< `outer_vlan` in front of `vlan`
    outer_ipv4_checksum = 1U << 9,  ///< of the header of `outer_l3` bytes
    outer_udp_checksum = 1U << 10,  ///< of the tunnel's UDP header, at the front of `l2`
  };
  /// Those that leave a checksum to be computed.
  static constexpr std::uint32_t kL4Checksums = tcp_checksum | udp_checksum | sctp_checksum;
  static constexpr std::uint32_t kChecksums = kL4Checksums | ipv4_checksum;

  std::uint32_t flags = 0;
  std::uint16_t l2 = 0;            ///< bytes: Ethernet header with tags; in a tunnel its headers and the inner ones
  std::uint16_t l3 = 0;            ///< bytes: IP header with options or extension headers
  std::uint16_t l4 = 0;            ///< bytes: TCP or UDP header, for segmentation
  std::uint16_t outer_l2 = 0;      ///< bytes: the outer Ethernet header of a tunnel; else 0
  std::uint16_t outer_l3 = 0;      ///< bytes: the outer IP header of a tunnel; else 0
  std::uint16_t segment_size = 0;  ///< bytes of payload a segment, for segmentation
  std::uint16_t vlan = 0;          ///< tag control information, host byte order, for insert_vlan
  std::uint16_t outer_vlan = 0;    ///< the same for insert_outer_vlan

  [[nodiscard]] constexpr bool operator==(const TxOffload&) const noexcept = default;
  /// Bytes in front of the IP header that `l3` is about, and of the transport header.
  [[nodiscard]] constexpr std::uint32_t l3_offset() const noexcept { return std::uint32_t{outer_l2} + outer_l3 + l2; }
  [[nodiscard]] constexpr std::uint32_t l4_offset() const noexcept { return l3_offset() + l3; }
};

/// How the two raw words of an Mbuf's receive metadata are to be read; RxMetadata does. At most 15.
enum class RxFormat : std::uint8_t {
  none = 0,        ///< nothing is known of the frame
  software = 1,    ///< as SoftwareRxMetadata notes it
  virtio_net = 2,  ///< the header that virtio-net and TAP put in front of a frame (VirtioNetHeader)
  /// The write-back of Intel's advanced receive descriptor. The highest value, so that one comparison tells frames of
  /// the cards with the most of them from all others.
  intel_advanced = 15,
};

}  // namespace pollux
