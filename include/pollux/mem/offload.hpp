// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace pollux {

/// The state of a checksum, in received frames and in frames to send.
enum class ChecksumStatus : std::uint8_t {
  unknown,  ///< not checked
  good,     ///< checked, and right
  bad,      ///< checked, and wrong
  partial,  ///< not computed yet: the frame's TxOffload says where; the frame comes from software, not from a wire
};

/// An offload request: what the sender asks the port to do with a frame (`Mbuf::set_tx_offload`). OffloadLimits says
/// what a port supports. A port drops a frame with an unsupported request and counts it under a named counter; it never
/// sends such a frame without the requested change.
///
/// A request describes its frame, and the sender answers for it. A port checks the lengths of each frame, so that no
/// card reads beyond one. It need not look at the headers of a frame whose request repeats that of an earlier one: if
/// they differ from what the request says, such a frame may be sent with wrong checksums.
///
/// The four lengths describe consecutive headers, which lie in the frame's first mbuf if segmentation is requested. A
/// request whose flags need none of them (kWithoutLengths) has no lengths: they are ignored, and read as 0. The outer
/// lengths are 0 for a frame without a tunnel:
///
///     outer_l2 | outer_l3 | l2                      | l3 | l4 | payload
///                           with the tunnel's own
///
/// A requested checksum is `partial` until it is computed. Until then its field holds, as in Linux (CHECKSUM_PARTIAL),
/// virtio-net (VIRTIO_NET_HDR_F_NEEDS_CSUM) and DPDK:
/// - TCP and UDP: the sum of the pseudo-header, folded to 16 bits and not inverted (`request_checksums` writes it);
/// - IPv4 and SCTP: any value.
struct TxOffload {
  /// Requests, to combine with `|` in `flags`.
  enum Flag : std::uint32_t {
    ipv4_checksum = 1U << 0,        ///< of the header of `l3` bytes
    tcp_checksum = 1U << 1,         ///< at most one of these three
    udp_checksum = 1U << 2,         ///< a sum of 0 is sent as 0xFFFF
    sctp_checksum = 1U << 3,        ///< CRC32c
    tcp_segmentation = 1U << 4,     ///< implies tcp_checksum and, over IPv4, ipv4_checksum
    insert_vlan = 1U << 5,          ///< inserts `vlan` after the MAC addresses
    timestamp = 1U << 6,            ///< the card records when it sent the frame
    udp_segmentation = 1U << 7,     ///< implies udp_checksum and, over IPv4, ipv4_checksum
    insert_outer_vlan = 1U << 8,    ///< inserts `outer_vlan` before `vlan`
    outer_ipv4_checksum = 1U << 9,  ///< of the header of `outer_l3` bytes
    outer_udp_checksum = 1U << 10,  ///< of the tunnel's UDP header, at the front of `l2`
    /// The frame ends with its frame check sequence, right or wrong: the port adds none. Such a frame has at least 64
    /// bytes, and no other request.
    without_fcs = 1U << 11,
  };
  /// The flags that request a checksum.
  static constexpr std::uint32_t kL4Checksums = tcp_checksum | udp_checksum | sctp_checksum;
  /// The same and that of the IPv4 header; those of a tunnel's outer headers are not among them.
  static constexpr std::uint32_t kChecksums = kL4Checksums | ipv4_checksum;
  /// The flags that request segmentation.
  static constexpr std::uint32_t kSegmentation = tcp_segmentation | udp_segmentation;
  /// The flags that need none of the lengths.
  static constexpr std::uint32_t kWithoutLengths = insert_vlan | insert_outer_vlan | timestamp | without_fcs;

  // What a tag needs is in the first eight bytes, and what a checksum needs in the first sixteen, so that a queue can
  // compare it in one or two words.
  std::uint32_t flags = 0;       ///< of Flag; 0: no request
  std::uint16_t vlan = 0;        ///< tag control information, host byte order, for insert_vlan; else 0
  std::uint16_t outer_vlan = 0;  ///< the same for insert_outer_vlan
  std::uint16_t l2 =
      0;  ///< bytes: Ethernet header with tags; in a tunnel the tunnel header and the inner Ethernet header
  std::uint16_t l3 = 0;            ///< bytes: IP header with options or extension headers
  std::uint16_t outer_l2 = 0;      ///< bytes: the outer Ethernet header of a tunnel; else 0
  std::uint16_t outer_l3 = 0;      ///< bytes: the outer IP header of a tunnel; else 0
  std::uint16_t l4 = 0;            ///< bytes: TCP or UDP header, for segmentation
  std::uint16_t segment_size = 0;  ///< bytes of payload a segment, for segmentation

  /// Whether a flag needs the lengths below. Otherwise they are ignored.
  [[nodiscard]] constexpr bool has_lengths() const noexcept { return (flags & ~kWithoutLengths) != 0; }
  [[nodiscard]] constexpr bool operator==(const TxOffload&) const noexcept = default;
  /// Bytes before the IP header of length `l3`, and before the transport header.
  [[nodiscard]] constexpr std::uint32_t l3_offset() const noexcept { return std::uint32_t{outer_l2} + outer_l3 + l2; }
  /// Bytes before the transport header.
  [[nodiscard]] constexpr std::uint32_t l4_offset() const noexcept { return l3_offset() + l3; }
};

/// The format of the two words of receive metadata in an Mbuf; RxMetadata decodes them. At most 15.
enum class RxFormat : std::uint8_t {
  none = 0,                ///< no receive metadata
  software = 1,            ///< written by SoftwareRxMetadata
  virtio_net = 2,          ///< the header that virtio-net and TAP put in front of a frame (VirtioNetHeader)
  software_inner_tag = 3,  ///< as `software`; the stripped VLAN tag was behind an outer one, which the frame still has
  /// As the formats whose values are 4 higher, of a card that swaps the two bytes of a stripped tag if the frame came
  /// from another pool or function of it.
  ///@{
  intel_looped_assigned_tag = 9,
  intel_looped_inner_tag = 10,
  intel_looped_tag = 11,
  ///@}
  intel_extended = 12,  ///< the write-back of Intel's extended receive descriptor
  /// As `intel_advanced`, of a virtual function that has joined no VLAN: a stripped tag with a VLAN's number is the one
  /// that the host has assigned to the function, which does not see it.
  intel_assigned_tag = 13,
  intel_inner_tag = 14,  ///< as `intel_advanced`; the stripped VLAN tag was behind an outer one (outer_vlan_type)
  /// The write-back of Intel's advanced receive descriptor. This and the format before have the highest values, so that
  /// one comparison identifies the words that need no conversion.
  intel_advanced = 15,
};

}  // namespace pollux
