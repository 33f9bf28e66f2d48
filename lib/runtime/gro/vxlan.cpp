// SPDX-License-Identifier: BSD-3-Clause
// TCP in VXLAN (RFC 7348): Ethernet, IP, UDP and VXLAN before the Ethernet frame that is merged.
#include "runtime/gro/vxlan.hpp"

#include <span>

#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/sums.hpp"
#include "pollux/net/packet/transport.hpp"
#include "runtime/gro/header_words.hpp"
#include "runtime/gro/read.hpp"

namespace pollux::gro {

using packet::UdpHeader;

SegmentKind read_vxlan(Segment& segment, ChecksumStatus checksum) noexcept {
  const std::uint32_t inner = segment.l4 + UdpHeader::kLength + kVxlan;  // the inner Ethernet header
  if (auto kind = missing(*segment.mbuf, inner + kEthernet)) return *kind;
  const std::uint8_t* const udp = segment.bytes + segment.l4;
  if (word16(udp + UdpHeader::kChecksumAt) != 0 &&
      (segment.ends_flow || !transport_is_good(segment, packet::ip_protocol::kUdp, checksum))) {
    return SegmentKind::other;
  }
  segment.outer_l3 = segment.l3;
  segment.outer_l4 = segment.l4;
  segment.outer_is_ipv6 = segment.is_ipv6;
  segment.l3 = static_cast<std::uint16_t>(inner + kEthernet);
  // What a port says of checksums is about the outer headers.
  std::uint8_t protocol = 0;
  const SegmentKind kind = read_ip(segment, word16(segment.bytes + segment.l3 - 2), ChecksumStatus::unknown, protocol);
  if (kind != SegmentKind::mergeable) return kind;
  return protocol == packet::ip_protocol::kTcp ? read_tcp(segment, ChecksumStatus::unknown) : SegmentKind::other;
}

bool same_tunnel(const Flow& flow, const Segment& segment) noexcept {
  const std::uint8_t* const a = flow.bytes + flow.outer_l4;
  const std::uint8_t* const b = segment.bytes + flow.outer_l4;
  const bool a_has_sum = word16(a + UdpHeader::kChecksumAt) != 0;
  const bool b_has_sum = word16(b + UdpHeader::kChecksumAt) != 0;
  return word32(a) == word32(b) && a_has_sum == b_has_sum &&
         std::memcmp(a + UdpHeader::kLength, b + UdpHeader::kLength, kVxlan + std::size_t{kEthernet}) == 0;
}

void finish_tunnel(const Flow& flow) noexcept {
  std::uint8_t* const ip = flow.head->data() + flow.outer_l3;
  std::uint8_t* const udp = flow.head->data() + flow.outer_l4;
  packet::store16(udp + 4, static_cast<std::uint16_t>(flow.length - flow.outer_l4));
  if (packet::load16(udp + UdpHeader::kChecksumAt) == 0) return;
  packet::InternetSum sum;
  sum.add(flow.outer_is_ipv6 ? std::span<const std::uint8_t>(ip + 8, 32) : std::span<const std::uint8_t>(ip + 12, 8));
  sum.add(packet::ip_protocol::kUdp);
  packet::store16(udp + UdpHeader::kChecksumAt, sum.folded());
}

}  // namespace pollux::gro
