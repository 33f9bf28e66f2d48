// SPDX-License-Identifier: BSD-3-Clause
// The rules by which segments are merged. They are those of Linux 6.18, as its documentation (networking/segmentation-
// offloads.rst) and its selftest (tools/testing/selftests/net/gro.c) state them and its behaviour shows them.
#include "runtime/gro/flow.hpp"

#include <span>

#include "net/packet/ip_headers.hpp"
#include "pollux/net/packet/transport.hpp"

namespace pollux::gro {
namespace {

using packet::TcpHeader;
using packet::UdpHeader;

// The fourth word of a TCP header: data offset, flags and window.
constexpr std::uint32_t kCwr = swap32(std::uint32_t{TcpHeader::cwr} << 16);
constexpr std::uint32_t kMergedFlags = swap32(std::uint32_t{TcpHeader::fin | TcpHeader::psh} << 16);
constexpr unsigned kLastFlags = TcpHeader::urg | TcpHeader::psh | TcpHeader::rst | TcpHeader::syn | TcpHeader::fin;
// The first word of an IPv6 header: version, traffic class and flow label.
constexpr std::uint32_t kTrafficClass = swap32(0x0FF00000);

Mbuf& last_mbuf(Mbuf& frame) noexcept {
  Mbuf* last = &frame;
  while (Mbuf* const next = last->next()) last = next;
  return *last;
}

/// `end`: of the header with its tags.
bool same_ethernet(const Flow& flow, const Segment& segment, unsigned end) noexcept {
  const std::uint8_t* const a = flow.bytes;
  const std::uint8_t* const b = segment.bytes;
  if (((word64(a) ^ word64(b)) | (word64(a + 6) ^ word64(b + 6))) != 0) return false;
  for (unsigned at = kEthernet; at < end; at += 4) {
    if (word32(a + at) != word32(b + at)) return false;
  }
  return true;
}

bool same_ipv4(const std::uint8_t* a, const std::uint8_t* b) noexcept { return word64(a + 12) == word64(b + 12); }

/// `length`: bytes of the header with its extension headers.
bool same_ipv6(const std::uint8_t* a, const std::uint8_t* b, unsigned length) noexcept {
  const std::uint32_t first = (word32(a) ^ word32(b)) & ~kTrafficClass;
  if ((first | static_cast<unsigned>(a[6] ^ b[6])) != 0) return false;
  return std::memcmp(a + 8, b + 8, length - 8) == 0;
}

bool same_ip(const Flow& flow, const Segment& segment, unsigned l3, unsigned length, bool is_ipv6) noexcept {
  const std::uint8_t* const a = flow.bytes + l3;
  const std::uint8_t* const b = segment.bytes + l3;
  return is_ipv6 ? same_ipv6(a, b, length) : same_ipv4(a, b);
}

/// Whether the fields of IPv4 that may differ within a flow allow a merge. `count`: segments of the flow.
bool ipv4_continues(unsigned count, bool& has_fixed_id, const std::uint8_t* head, const std::uint8_t* ip) noexcept {
  // Fragment flags, time to live and protocol are one word.
  if (((word32(head + 6) ^ word32(ip + 6)) | static_cast<unsigned>(head[1] ^ ip[1])) != 0) return false;
  const auto distance = static_cast<std::uint16_t>(swap16(word16(ip + 4)) - swap16(word16(head + 4)));
  // The second segment shows whether the identification counts.
  if (count == 1 && distance == 0) has_fixed_id = true;
  return distance == (has_fixed_id ? 0 : count);
}

// A merged frame of another version, or with extension headers that are not understood, could not be segmented again,
// so such frames stay alone, other than in Linux. Version and extension headers of a flow are the same.
bool ipv6_continues(const std::uint8_t* head, std::span<const std::uint8_t> headers) noexcept {
  if (headers.size() != kIpv6 && !packet::read_ip_headers(headers)) return false;
  const std::uint8_t* const ip = headers.data();
  const unsigned version = head[0] ^ 0x60U;
  return (((word32(head) ^ word32(ip)) & kTrafficClass) | static_cast<unsigned>(head[7] ^ ip[7]) | (version & 0xF0U)) ==
         0;
}

/// Whether UDP ports, the use of a UDP checksum, the VXLAN header and the inner Ethernet header are the same. Both are
/// in a tunnel of the same layout.
bool same_tunnel(const Flow& flow, const Segment& segment) noexcept {
  const std::uint8_t* const a = flow.bytes + flow.outer_l4;
  const std::uint8_t* const b = segment.bytes + flow.outer_l4;
  const bool a_has_sum = word16(a + UdpHeader::kChecksumAt) != 0;
  const bool b_has_sum = word16(b + UdpHeader::kChecksumAt) != 0;
  return word32(a) == word32(b) && a_has_sum == b_has_sum &&
         std::memcmp(a + UdpHeader::kLength, b + UdpHeader::kLength, kVxlan + std::size_t{kEthernet}) == 0;
}

bool ip_continues(Flow& flow, const Segment& segment) noexcept {
  const auto continues = [&flow, &segment](unsigned l3, unsigned l4, bool is_ipv6, bool& has_fixed_id) {
    const std::uint8_t* const head = flow.bytes + l3;
    const std::uint8_t* const ip = segment.bytes + l3;
    return is_ipv6 ? ipv6_continues(head, {ip, l4 - std::size_t{l3}})
                   : ipv4_continues(flow.count, has_fixed_id, head, ip);
  };
  if (flow.in_tunnel() && !continues(flow.outer_l3, flow.outer_l4, flow.outer_is_ipv6, flow.has_fixed_outer_id)) {
    return false;
  }
  return continues(flow.l3, flow.l4, flow.is_ipv6, flow.has_fixed_id);
}

/// Whether acknowledgment, flags, window and options are the same.
bool tcp_continues(const Flow& flow, const Segment& segment) noexcept {
  const std::uint8_t* const head = flow.bytes + flow.l4;
  const std::uint8_t* const tcp = segment.bytes + segment.l4;
  std::uint32_t differing = word32(head + 8) ^ word32(tcp + 8);
  const std::uint32_t flags = word32(tcp + 12);
  // Segmentation would leave CWR in the first segment only (RFC 3168, 6.1.2). With accurate ECN its value in each
  // segment counts, so a segment with CWR stays alone.
  differing |= ((word32(head + 12) ^ flags) & ~kMergedFlags) | (flags & kCwr);
  if (differing != 0 || swap32(word32(tcp + 4)) != flow.next_sequence) return false;
  // The data offsets are the same.
  for (unsigned at = TcpHeader::kLength; at < segment.payload - unsigned{segment.l4}; at += 4) {
    differing |= word32(head + at) ^ word32(tcp + at);
  }
  return differing == 0;
}

bool fits(const Flow& flow, const Segment& segment) noexcept {
  return segment.payload_length - 1 < flow.segment_size &&  // a length of 0 wraps
         flow.length + segment.payload_length <= kMaxFrame && flow.mbufs + segment.mbuf->segments() <= kMaxMbufs;
}

/// Removes the headers of `segment` and makes the rest part of the flow's chain.
void chain(Flow& flow, const Segment& segment) noexcept {
  Mbuf& mbuf = *segment.mbuf;
  const std::uint32_t mbufs = mbuf.segments();
  MbufAccess::data_offset(mbuf) = static_cast<std::uint16_t>(MbufAccess::data_offset(mbuf) + segment.payload);
  MbufAccess::data_length(mbuf) = static_cast<std::uint16_t>(MbufAccess::data_length(mbuf) - segment.payload);
  if (mbufs == 1) MbufAccess::next(mbuf) = nullptr;
  // A part of a chain has no request and no timestamp.
  MbufAccess::special(mbuf) = MbufAccess::kMultiSegment;
  MbufAccess::special(*flow.tail) |= MbufAccess::kMultiSegment;
  MbufAccess::next(*flow.tail) = &mbuf;
  flow.tail = mbufs == 1 ? &mbuf : &last_mbuf(mbuf);
  flow.mbufs = static_cast<std::uint16_t>(flow.mbufs + mbufs);
  flow.length += segment.payload_length;
}

}  // namespace

Flow::Flow(const Segment& first) noexcept
    : HeaderLayout(first),
      head(first.mbuf),
      tail(&last_mbuf(*first.mbuf)),
      bytes(first.bytes),
      hash(first.hash),
      vlan(first.vlan),
      next_sequence(first.is_udp ? 0 : swap32(word32(first.bytes + first.l4 + 4)) + first.payload_length),
      length(first.payload + first.payload_length),
      segment_size(first.payload_length),
      count(1),
      mbufs(static_cast<std::uint16_t>(first.mbuf->segments())),
      expected(first) {}

bool is_of_flow(const Flow& flow, const Segment& segment) noexcept {
  if (((flow.hash ^ segment.hash) | (flow.vlan ^ segment.vlan) |
       static_cast<unsigned>((flow.l3 ^ segment.l3) | (flow.l4 ^ segment.l4) | (flow.outer_l3 ^ segment.outer_l3) |
                             (flow.outer_l4 ^ segment.outer_l4))) != 0) {
    return false;
  }
  if (word32(flow.bytes + flow.l4) != word32(segment.bytes + segment.l4)) return false;  // ports
  if (flow.is_ipv6 != segment.is_ipv6 || flow.is_udp != segment.is_udp || flow.outer_is_ipv6 != segment.outer_is_ipv6) {
    return false;
  }
  if (!same_ethernet(flow, segment, flow.in_tunnel() ? flow.outer_l3 : flow.l3)) return false;
  if (flow.in_tunnel() &&
      !(same_ip(flow, segment, flow.outer_l3, flow.outer_l4 - unsigned{flow.outer_l3}, flow.outer_is_ipv6) &&
        same_tunnel(flow, segment))) {
    return false;
  }
  return same_ip(flow, segment, flow.l3, flow.l4 - unsigned{flow.l3}, flow.is_ipv6);
}

bool append(Flow& flow, const Segment& segment) noexcept {
  if (segment.ends_flow || !fits(flow, segment) || !ip_continues(flow, segment)) return false;
  if (!flow.is_udp) {
    if (!tcp_continues(flow, segment)) return false;
    const unsigned flags = segment.bytes[segment.l4 + 13] & (TcpHeader::fin | TcpHeader::psh);
    // A store here delays the next segment's comparison with the same word, and most segments have no such flag.
    if (flags != 0) [[unlikely]] {
      std::uint8_t& merged = flow.head->data()[flow.l4 + 13];
      merged = static_cast<std::uint8_t>(merged | flags);
    }
    flow.next_sequence += segment.payload_length;
  }
  chain(flow, segment);
  ++flow.count;
  return true;
}

bool ends_with(const Flow& flow, const Segment& last) noexcept {
  if (last.payload_length < flow.segment_size) return true;
  return flow.is_udp ? flow.count == kMaxDatagrams : (last.bytes[last.l4 + 13] & kLastFlags) != 0;
}

bool starts_flow(const Segment& first) noexcept {
  if (first.ends_flow || first.payload_length == 0) return false;
  return first.is_udp || (first.bytes[first.l4 + 13] & kLastFlags) == 0;
}

}  // namespace pollux::gro
