// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/packet/transport.hpp"

#include <span>

#include "base/compiler.hpp"
#include "pollux/net/packet/sums.hpp"
#include "runtime/gro/header_words.hpp"
#include "runtime/gro/read.hpp"

namespace pollux::gro {
namespace {

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

}  // namespace

bool transport_is_good(const Segment& segment, std::uint8_t protocol, ChecksumStatus status) noexcept {
  if (status == ChecksumStatus::good || status == ChecksumStatus::partial) [[likely]]
    return true;
  return transport_sum_is_good(segment, protocol);
}

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

}  // namespace pollux::gro
