// SPDX-License-Identifier: BSD-3-Clause
#include "runtime/gro/flow.hpp"

#include <optional>
#include <span>

#include "base/compiler.hpp"
#include "net/packet/ip_headers.hpp"
#include "pollux/net/packet/ethernet.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/sums.hpp"
#include "pollux/net/packet/transport.hpp"
#include "pollux/net/rx_metadata.hpp"

namespace pollux::gro {
namespace {

// Reading one header of a frame after the other. Each function returns `mergeable` if the frame may be merged as far as
// it has been read, and then has set the members of `segment` that the comment names.

/// Whether the frame ends before `end`, or its first mbuf does.
std::optional<SegmentKind> missing(const Mbuf& mbuf, std::uint32_t end) noexcept {
  if (end <= mbuf.length()) [[likely]]
    return std::nullopt;
  return end <= mbuf.packet_length() ? SegmentKind::scattered : SegmentKind::other;
}

constexpr std::uint16_t kTypeIpv4 = swap16(packet::ether_type::kIpv4);
constexpr std::uint16_t kTypeIpv6 = swap16(packet::ether_type::kIpv6);
constexpr std::uint16_t kFragment = swap16(0x3FFF);  // more fragments, and the offset: RFC 791, 3.1

bool ipv4_header_is_good(const std::uint8_t* ip, ChecksumStatus status) noexcept {
  if (status == ChecksumStatus::good || status == ChecksumStatus::partial) [[likely]]
    return true;
  packet::InternetSum sum;
  sum.add(std::span(ip, kIpv4));
  return sum.is_good();
}

SegmentKind read_ipv4(Segment& segment, ChecksumStatus checksum, std::uint8_t& protocol) noexcept {
  if (auto kind = missing(*segment.mbuf, segment.l3 + std::uint32_t{kIpv4})) return *kind;
  const std::uint8_t* const ip = segment.bytes + segment.l3;
  protocol = ip[9];
  const std::uint16_t fragment = word16(ip + 6);
  if (ip[0] != 0x45 || (fragment & kFragment) != 0 || !ipv4_header_is_good(ip, checksum)) return SegmentKind::other;
  segment.is_ipv6 = false;
  segment.l4 = static_cast<std::uint16_t>(segment.l3 + kIpv4);
  // A frame with padding, and the reserved flag.
  segment.ends_flow |=
      swap16(word16(ip + 2)) != segment.mbuf->packet_length() - segment.l3 || (fragment & ~kDontFragment) != 0;
  return SegmentKind::mergeable;
}

/// Moves `at`, the end of the IPv6 header, behind the extension headers, and `next` on to the header there.
std::optional<SegmentKind> skip_extensions(const Segment& segment, std::uint8_t& next, std::uint32_t& at) noexcept {
  namespace protocol = packet::ip_protocol;
  while (next == protocol::kHopByHop || next == protocol::kRouting || next == protocol::kDestinationOptions) {
    if (auto kind = missing(*segment.mbuf, at + 2)) return kind;
    next = segment.bytes[at];
    at += (segment.bytes[at + 1] + 1U) * 8;
    if (auto kind = missing(*segment.mbuf, at)) return kind;
  }
  return std::nullopt;
}

/// Whether the checksum of what follows covers the addresses of the IPv6 header itself. Other packets are not merged,
/// as in Linux, which finds their checksums wrong (net/ipv6/ip6_offload.c, ip6_gro_compute_pseudo). What is not
/// understood has them, since Linux reads no further than the lengths.
bool has_own_addresses(std::span<const std::uint8_t> headers) noexcept {
  const auto read = packet::read_ip_headers(headers);
  return !read || read->is_common;
}

SegmentKind read_ipv6(Segment& segment, std::uint8_t& protocol) noexcept {
  if (auto kind = missing(*segment.mbuf, segment.l3 + std::uint32_t{kIpv6})) return *kind;
  const std::uint8_t* const ip = segment.bytes + segment.l3;
  std::uint32_t l4 = segment.l3 + std::uint32_t{kIpv6};
  protocol = ip[6];
  if (auto kind = skip_extensions(segment, protocol, l4)) return *kind;
  if (l4 != segment.l3 + std::uint32_t{kIpv6} && !has_own_addresses({ip, l4 - segment.l3})) return SegmentKind::other;
  segment.is_ipv6 = true;
  segment.l4 = static_cast<std::uint16_t>(l4);
  segment.ends_flow |= std::uint32_t{swap16(word16(ip + 4))} + kIpv6 != segment.mbuf->packet_length() - segment.l3;
  return SegmentKind::mergeable;
}

/// An IP header of EtherType `type` (as it is in memory) at `segment.l3`: sets `l4`, `is_ipv6` and `protocol`, and
/// `ends_flow` if it has to. `checksum`: the status of an IPv4 header's checksum.
SegmentKind read_ip(Segment& segment, std::uint16_t type, ChecksumStatus checksum, std::uint8_t& protocol) noexcept {
  if (type == kTypeIpv4) return read_ipv4(segment, checksum, protocol);
  return type == kTypeIpv6 ? read_ipv6(segment, protocol) : SegmentKind::other;
}

using packet::TcpHeader;
using packet::UdpHeader;

POLLUX_NOINLINE bool transport_sum_is_good(const Segment& segment, std::uint8_t protocol) noexcept {
  packet::InternetSum sum;
  const std::uint8_t* const ip = segment.bytes + segment.l3;
  sum.add(segment.is_ipv6 ? std::span(ip + 8, 32) : std::span(ip + 12, 8));
  sum.add(protocol);
  sum.add(segment.mbuf->packet_length() - segment.l4);
  std::uint32_t skip = segment.l4;  // bytes before the sum
  for (Mbuf* part = segment.mbuf; part != nullptr; part = part->next()) {
    sum.add(std::span<const std::uint8_t>(part->bytes()).subspan(skip));
    skip = 0;
  }
  return sum.is_good();
}

/// Whether the TCP or UDP checksum at `segment.l4` is right: `status` says so, or software sums the segment.
bool transport_is_good(const Segment& segment, std::uint8_t protocol, ChecksumStatus status) noexcept {
  if (status == ChecksumStatus::good || status == ChecksumStatus::partial) [[likely]]
    return true;
  return transport_sum_is_good(segment, protocol);
}

/// A TCP or UDP header at `segment.l4`: sets `payload` and `payload_length`. `checksum`: the status of its checksum.
SegmentKind read_tcp(Segment& segment, ChecksumStatus checksum) noexcept {
  if (auto kind = missing(*segment.mbuf, segment.l4 + std::uint32_t{TcpHeader::kLength})) return *kind;
  const std::uint32_t length = (segment.bytes[segment.l4 + 12] >> 4) * 4U;
  if (length < TcpHeader::kLength) return SegmentKind::other;
  if (auto kind = missing(*segment.mbuf, segment.l4 + length)) return *kind;
  // As in Linux, a frame that ends its flow anyway is not summed.
  if (!segment.ends_flow && !transport_is_good(segment, packet::ip_protocol::kTcp, checksum)) return SegmentKind::other;
  segment.is_udp = false;
  segment.payload = static_cast<std::uint16_t>(segment.l4 + length);
  segment.payload_length = segment.mbuf->packet_length() - segment.payload;
  return SegmentKind::mergeable;
}

SegmentKind read_udp(Segment& segment, ChecksumStatus checksum) noexcept {
  if (auto kind = missing(*segment.mbuf, segment.l4 + std::uint32_t{UdpHeader::kLength})) return *kind;
  const std::uint8_t* const udp = segment.bytes + segment.l4;
  // Segmentation computes checksums, so a datagram without one would get one. A padded one passes as well.
  const std::uint32_t bytes = segment.mbuf->packet_length() - segment.l4;
  if (word16(udp + UdpHeader::kChecksumAt) == 0 || bytes <= UdpHeader::kLength || swap16(word16(udp + 4)) != bytes) {
    return SegmentKind::other;
  }
  if (!segment.ends_flow && !transport_is_good(segment, packet::ip_protocol::kUdp, checksum)) return SegmentKind::other;
  segment.is_udp = true;
  segment.payload = static_cast<std::uint16_t>(segment.l4 + UdpHeader::kLength);
  segment.payload_length = segment.mbuf->packet_length() - segment.payload;
  return SegmentKind::mergeable;
}

/// A VXLAN tunnel (RFC 7348), whose UDP header is at `segment.l4`, and the TCP segment in it: sets all of HeaderLayout.
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

constexpr std::uint16_t kTypeVlan = swap16(packet::ether_type::kVlan);
constexpr std::uint16_t kTypeService = swap16(packet::ether_type::kService);

/// Sets `l3`, and the EtherType as it is in memory.
SegmentKind read_ethernet(Segment& segment, std::uint16_t& type) noexcept {
  if (auto kind = missing(*segment.mbuf, kEthernet)) return *kind;
  type = word16(segment.bytes + kEthernet - 2);
  std::uint16_t l3 = kEthernet;
  for (int tags = 0; tags < 2 && (type == kTypeVlan || type == kTypeService); ++tags) {
    l3 = static_cast<std::uint16_t>(l3 + kTag);
    if (auto kind = missing(*segment.mbuf, l3)) return *kind;
    type = word16(segment.bytes + l3 - 2);
  }
  segment.l3 = l3;
  return SegmentKind::mergeable;
}

SegmentKind read_transport(Segment& segment, const GroOptions& options, std::uint8_t protocol,
                           ChecksumStatus checksum) noexcept {
  if (protocol == packet::ip_protocol::kTcp) [[likely]]
    return read_tcp(segment, checksum);
  if (protocol != packet::ip_protocol::kUdp || (!options.udp && options.vxlan_port == 0)) return SegmentKind::other;
  if (auto kind = missing(*segment.mbuf, segment.l4 + 4U)) return *kind;
  if (options.vxlan_port != 0 && swap16(word16(segment.bytes + segment.l4 + 2)) == options.vxlan_port) {
    return read_vxlan(segment, checksum);
  }
  return options.udp ? read_udp(segment, checksum) : SegmentKind::other;
}

/// Whether nobody else uses the mbuf's bytes, and nothing is requested that a merged frame would lose.
bool can_merge(const Mbuf& mbuf, bool in_tunnel) noexcept {
  constexpr unsigned kNotOwn = MbufAccess::kShared | MbufAccess::kClone | MbufAccess::kExternal;
  const unsigned special = static_cast<std::uint8_t>(MbufAccess::word(mbuf) >> MbufAccess::kSpecialShift);
  if (special == 0) [[likely]]
    return true;
  const std::uint32_t kept = in_tunnel ? 0 : TxOffload::kChecksums;
  return (special & kNotOwn) == 0 && (mbuf.tx_offload().flags & ~kept) == 0;
}

}  // namespace

SegmentKind read_segment(Mbuf& mbuf, const GroOptions& options, Segment& segment) noexcept {
  const RxMetadata metadata(mbuf);
  if (metadata.is_bad_frame()) return SegmentKind::other;
  segment.mbuf = &mbuf;
  segment.bytes = mbuf.data();
  std::uint16_t type = 0;
  std::uint8_t protocol = 0;
  SegmentKind kind = read_ethernet(segment, type);
  if (kind == SegmentKind::mergeable) kind = read_ip(segment, type, metadata.ip_checksum(), protocol);
  if (kind == SegmentKind::mergeable) kind = read_transport(segment, options, protocol, metadata.l4_checksum());
  if (kind != SegmentKind::mergeable) return kind;
  segment.hash = metadata.rss_hash().value_or(0);
  const auto vlan = metadata.vlan();
  segment.vlan = vlan ? Segment::kHasVlan | (metadata.vlan_is_inner() ? Segment::kInnerVlan : 0) | *vlan : 0;
  // A first mbuf of headers alone would become an empty one.
  if (!can_merge(mbuf, segment.in_tunnel()) || (mbuf.length() == segment.payload && segment.payload_length != 0)) {
    segment.ends_flow = true;
  }
  return SegmentKind::mergeable;
}

}  // namespace pollux::gro
