// SPDX-License-Identifier: BSD-3-Clause
#include "runtime/gro/segment.hpp"

#include <array>
#include <optional>
#include <span>

#include "base/compiler.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/sums.hpp"
#include "pollux/net/packet/transport.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "runtime/gro/header_words.hpp"

namespace pollux::gro {
namespace {

using packet::TcpHeader;

constexpr std::uint16_t kTypeIpv4 = swap16(packet::ether_type::kIpv4);
constexpr std::uint16_t kTypeIpv6 = swap16(packet::ether_type::kIpv6);
constexpr std::uint16_t kTypeVlan = swap16(packet::ether_type::kVlan);
constexpr std::uint16_t kTypeService = swap16(packet::ether_type::kService);
constexpr std::uint16_t kFragment = swap16(0x3FFF);  // more fragments, and the offset: RFC 791, 3.1

/// Whether the frame ends before `end`, or its first mbuf does.
std::optional<SegmentKind> missing(const Mbuf& mbuf, std::uint32_t end) noexcept {
  if (end <= mbuf.length()) [[likely]]
    return std::nullopt;
  return end <= mbuf.packet_length() ? SegmentKind::scattered : SegmentKind::other;
}

bool ipv4_header_is_good(const std::uint8_t* ip, const RxMetadata& metadata) noexcept {
  const ChecksumStatus status = metadata.ip_checksum();
  if (status == ChecksumStatus::good || status == ChecksumStatus::partial) [[likely]]
    return true;
  packet::InternetSum sum;
  sum.add(std::span(ip, kIpv4));
  return sum.is_good();
}

/// Sums the TCP segment in software.
POLLUX_NOINLINE bool tcp_sum_is_good(const Segment& segment) noexcept {
  packet::InternetSum sum;
  const std::uint8_t* const ip = segment.bytes + segment.l3;
  sum.add(segment.is_ipv6 ? std::span(ip + 8, 32) : std::span(ip + 12, 8));
  sum.add(packet::ip_protocol::kTcp);
  sum.add(segment.mbuf->packet_length() - segment.l4);
  std::uint32_t skip = segment.l4;  // bytes before the sum
  for (Mbuf* part = segment.mbuf; part != nullptr; part = part->next()) {
    sum.add(std::span<const std::uint8_t>(part->bytes()).subspan(skip));
    skip = 0;
  }
  return sum.is_good();
}

bool tcp_is_good(const Segment& segment, const RxMetadata& metadata) noexcept {
  const ChecksumStatus status = metadata.l4_checksum();
  if (status == ChecksumStatus::good || status == ChecksumStatus::partial) [[likely]]
    return true;
  return tcp_sum_is_good(segment);
}

SegmentKind read_ipv4(Segment& segment, const RxMetadata& metadata) noexcept {
  if (auto kind = missing(*segment.mbuf, segment.l3 + kIpv4)) return *kind;
  const std::uint8_t* const ip = segment.bytes + segment.l3;
  if (ip[0] != 0x45 || ip[9] != packet::ip_protocol::kTcp) return SegmentKind::other;
  const std::uint16_t fragment = word16(ip + 6);
  if ((fragment & kFragment) != 0 || !ipv4_header_is_good(ip, metadata)) return SegmentKind::other;
  segment.l4 = static_cast<std::uint16_t>(segment.l3 + kIpv4);
  // A frame with padding, and the reserved flag.
  segment.ends_flow =
      swap16(word16(ip + 2)) != segment.mbuf->packet_length() - segment.l3 || (fragment & ~kDontFragment) != 0;
  return SegmentKind::tcp;
}

/// The offset after the extension headers that lie between `at` and the header of TCP; empty if there is another.
std::optional<SegmentKind> skip_extensions(const Segment& segment, std::uint8_t next, std::uint32_t& at) noexcept {
  namespace protocol = packet::ip_protocol;
  while (next == protocol::kHopByHop || next == protocol::kRouting || next == protocol::kDestinationOptions) {
    if (auto kind = missing(*segment.mbuf, at + 2)) return kind;
    next = segment.bytes[at];
    at += (segment.bytes[at + 1] + 1U) * 8;
    if (auto kind = missing(*segment.mbuf, at)) return kind;
  }
  return next == protocol::kTcp ? std::nullopt : std::optional(SegmentKind::other);
}

SegmentKind read_ipv6(Segment& segment) noexcept {
  if (auto kind = missing(*segment.mbuf, segment.l3 + kIpv6)) return *kind;
  const std::uint8_t* const ip = segment.bytes + segment.l3;
  std::uint32_t l4 = segment.l3 + kIpv6;
  if (ip[6] != packet::ip_protocol::kTcp) {
    if (auto kind = skip_extensions(segment, ip[6], l4)) return *kind;
  }
  segment.is_ipv6 = true;
  segment.l4 = static_cast<std::uint16_t>(l4);
  segment.ends_flow = std::uint32_t{swap16(word16(ip + 4))} + kIpv6 != segment.mbuf->packet_length() - segment.l3;
  return SegmentKind::tcp;
}

SegmentKind read_ip(Segment& segment, const RxMetadata& metadata) noexcept {
  if (auto kind = missing(*segment.mbuf, kEthernet)) return *kind;
  std::uint16_t type = word16(segment.bytes + kEthernet - 2);
  std::uint16_t l3 = kEthernet;
  for (int tags = 0; tags < 2 && (type == kTypeVlan || type == kTypeService); ++tags) {
    l3 = static_cast<std::uint16_t>(l3 + kTag);
    if (auto kind = missing(*segment.mbuf, l3)) return *kind;
    type = word16(segment.bytes + l3 - 2);
  }
  segment.l3 = l3;
  if (type == kTypeIpv4) return read_ipv4(segment, metadata);
  return type == kTypeIpv6 ? read_ipv6(segment) : SegmentKind::other;
}

SegmentKind read_tcp(Segment& segment, const RxMetadata& metadata) noexcept {
  if (auto kind = missing(*segment.mbuf, segment.l4 + std::uint32_t{TcpHeader::kLength})) return *kind;
  const std::uint32_t length = (segment.bytes[segment.l4 + 12] >> 4) * 4U;
  if (length < TcpHeader::kLength) return SegmentKind::other;
  if (auto kind = missing(*segment.mbuf, segment.l4 + length)) return *kind;
  // As in Linux, a frame that ends its flow anyway is not summed.
  if (!segment.ends_flow && !tcp_is_good(segment, metadata)) return SegmentKind::other;
  segment.payload = static_cast<std::uint16_t>(segment.l4 + length);
  segment.payload_length = segment.mbuf->packet_length() - segment.payload;
  return SegmentKind::tcp;
}

/// Whether nobody else uses the mbuf's bytes, and nothing is requested that a merged frame would lose.
bool can_merge(const Mbuf& mbuf) noexcept {
  constexpr unsigned kNotOwn = MbufAccess::kShared | MbufAccess::kClone | MbufAccess::kExternal;
  const unsigned special = static_cast<std::uint8_t>(MbufAccess::word(mbuf) >> MbufAccess::kSpecialShift);
  if (special == 0) [[likely]]
    return true;
  return (special & kNotOwn) == 0 && (mbuf.tx_offload().flags & ~TxOffload::kChecksums) == 0;
}

}  // namespace

SegmentKind read_segment(Mbuf& mbuf, Segment& segment) noexcept {
  const RxMetadata metadata(mbuf);
  if (metadata.is_bad_frame()) return SegmentKind::other;
  segment.mbuf = &mbuf;
  segment.bytes = mbuf.data();
  segment.is_ipv6 = false;
  SegmentKind kind = read_ip(segment, metadata);
  if (kind == SegmentKind::tcp) kind = read_tcp(segment, metadata);
  if (kind != SegmentKind::tcp) return kind;
  segment.hash = metadata.rss_hash().value_or(0);
  const auto vlan = metadata.vlan();
  segment.vlan = vlan ? Segment::kHasVlan | *vlan : 0;
  // A first mbuf of headers alone would become an empty one.
  if (!can_merge(mbuf) || (mbuf.length() == segment.payload && segment.payload_length != 0)) segment.ends_flow = true;
  return SegmentKind::tcp;
}

}  // namespace pollux::gro
