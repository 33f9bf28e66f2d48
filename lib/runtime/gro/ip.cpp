// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/packet/ip.hpp"

#include <span>

#include "net/packet/ip_headers.hpp"
#include "pollux/net/packet/ethernet.hpp"
#include "pollux/net/packet/sums.hpp"
#include "runtime/gro/header_words.hpp"
#include "runtime/gro/read.hpp"

namespace pollux::gro {
namespace {

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
/// as in Linux, which finds their checksums wrong (net/ipv6/ip6_offload.c, ip6_gro_compute_pseudo).
bool has_own_addresses(std::span<const std::uint8_t> headers) noexcept {
  const auto read = packet::read_ip_headers(headers);
  return read && read->is_common;
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

}  // namespace

SegmentKind read_ip(Segment& segment, std::uint16_t type, ChecksumStatus checksum, std::uint8_t& protocol) noexcept {
  if (type == kTypeIpv4) return read_ipv4(segment, checksum, protocol);
  return type == kTypeIpv6 ? read_ipv6(segment, protocol) : SegmentKind::other;
}

}  // namespace pollux::gro
