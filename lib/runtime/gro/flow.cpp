// SPDX-License-Identifier: BSD-3-Clause
// The rules by which segments are merged. They are those of Linux 6.18, as its documentation (networking/segmentation-
// offloads.rst) and its selftest (tools/testing/selftests/net/gro.c) state them and its behaviour shows them.
#include "runtime/gro/flow.hpp"

#include <cstring>

#include "pollux/net/packet/transport.hpp"
#include "runtime/gro/header_words.hpp"

namespace pollux::gro {
namespace {

using packet::TcpHeader;

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

bool same_ethernet(const Flow& flow, const Segment& segment) noexcept {
  const std::uint8_t* const a = flow.bytes;
  const std::uint8_t* const b = segment.bytes;
  if (((word64(a) ^ word64(b)) | (word64(a + 6) ^ word64(b + 6))) != 0) return false;
  for (unsigned at = kEthernet; at < flow.l3; at += 4) {
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

/// Whether the fields of IPv4 that may differ within a flow allow a merge.
bool ipv4_continues(Flow& flow, const std::uint8_t* head, const std::uint8_t* ip) noexcept {
  // Fragment flags, time to live and protocol are one word.
  if (((word32(head + 6) ^ word32(ip + 6)) | static_cast<unsigned>(head[1] ^ ip[1])) != 0) return false;
  const auto distance = static_cast<std::uint16_t>(swap16(word16(ip + 4)) - swap16(word16(head + 4)));
  // The second segment shows whether the identification counts.
  if (flow.count == 1 && distance == 0) flow.has_fixed_id = true;
  return distance == (flow.has_fixed_id ? 0 : flow.count);
}

bool ipv6_continues(const std::uint8_t* head, const std::uint8_t* ip) noexcept {
  return (((word32(head) ^ word32(ip)) & kTrafficClass) | static_cast<unsigned>(head[7] ^ ip[7])) == 0;
}

bool ip_continues(Flow& flow, const Segment& segment) noexcept {
  const std::uint8_t* const head = flow.bytes + flow.l3;
  const std::uint8_t* const ip = segment.bytes + segment.l3;
  return flow.is_ipv6 ? ipv6_continues(head, ip) : ipv4_continues(flow, head, ip);
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
    : head(first.mbuf),
      tail(&last_mbuf(*first.mbuf)),
      bytes(first.bytes),
      hash(first.hash),
      vlan(first.vlan),
      next_sequence(swap32(word32(first.bytes + first.l4 + 4)) + first.payload_length),
      length(first.payload + first.payload_length),
      segment_size(first.payload_length),
      l3(first.l3),
      l4(first.l4),
      payload(first.payload),
      count(1),
      mbufs(static_cast<std::uint16_t>(first.mbuf->segments())),
      is_ipv6(first.is_ipv6),
      expected(first) {}

bool is_of_flow(const Flow& flow, const Segment& segment) noexcept {
  if (((flow.hash ^ segment.hash) | (flow.vlan ^ segment.vlan) |
       static_cast<unsigned>((flow.l3 ^ segment.l3) | (flow.l4 ^ segment.l4))) != 0) {
    return false;
  }
  if (word32(flow.bytes + flow.l4) != word32(segment.bytes + segment.l4)) return false;  // ports
  if (flow.is_ipv6 != segment.is_ipv6 || !same_ethernet(flow, segment)) return false;
  const std::uint8_t* const head = flow.bytes + flow.l3;
  const std::uint8_t* const ip = segment.bytes + segment.l3;
  return flow.is_ipv6 ? same_ipv6(head, ip, flow.l4 - unsigned{flow.l3}) : same_ipv4(head, ip);
}

bool append(Flow& flow, const Segment& segment) noexcept {
  if (segment.ends_flow || !fits(flow, segment) || !ip_continues(flow, segment) || !tcp_continues(flow, segment)) {
    return false;
  }
  const unsigned flags = segment.bytes[segment.l4 + 13] & (TcpHeader::fin | TcpHeader::psh);
  // A store here delays the next segment's comparison with the same word, and most segments have no such flag.
  if (flags != 0) [[unlikely]] {
    std::uint8_t& merged = flow.head->data()[flow.l4 + 13];
    merged = static_cast<std::uint8_t>(merged | flags);
  }
  chain(flow, segment);
  flow.next_sequence += segment.payload_length;
  ++flow.count;
  return true;
}

bool is_last(const Segment& segment, std::uint32_t segment_size) noexcept {
  return segment.payload_length < segment_size || (segment.bytes[segment.l4 + 13] & kLastFlags) != 0;
}

}  // namespace pollux::gro
