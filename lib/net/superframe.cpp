// SPDX-License-Identifier: BSD-3-Clause
#include "net/superframe.hpp"

#include <algorithm>

#include "net/checksums.hpp"
#include "net/frame_size.hpp"
#include "net/packet/ip_headers.hpp"
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/sums.hpp"
#include "pollux/net/packet/transport.hpp"

namespace pollux {
namespace {

using packet::store16;

constexpr std::uint16_t kShortestIp = 20;
constexpr std::uint16_t kShortestIpv6 = 40;

/// Writes the lengths and returns the sum of the pseudo-header's addresses. `ip`: headers that have been checked.
packet::InternetSum complete_ip(std::span<std::uint8_t> ip, std::uint32_t bytes) noexcept {
  const packet::PseudoHeaderPlaces places = packet::read_ip_headers(ip)->addresses;
  packet::InternetSum addresses;
  addresses.add(ip.subspan(places.source, places.bytes));
  addresses.add(ip.subspan(places.destination, places.bytes));
  if (ip[0] >> 4 == 4) {
    store16(&ip[2], static_cast<std::uint16_t>(bytes));
    store16(&ip[10], 0);
    store16(&ip[10], packet::internet_checksum(ip));
  } else {
    store16(&ip[4], static_cast<std::uint16_t>(bytes - kShortestIpv6));
  }
  return addresses;
}

}  // namespace

VirtioNetHeader superframe_header(std::span<std::uint8_t> headers, const TxOffload& request,
                                  std::uint32_t frame_bytes) noexcept {
  const bool is_tcp = (request.flags & TxOffload::tcp_segmentation) != 0;
  const std::span<std::uint8_t> ip = headers.subspan(request.l3_offset(), request.l3);
  const std::span<std::uint8_t> l4 = headers.subspan(request.l4_offset());
  const std::uint32_t l4_bytes = frame_bytes - request.l4_offset();
  packet::InternetSum sum = complete_ip(ip, frame_bytes - request.l3_offset());
  sum.add(is_tcp ? packet::ip_protocol::kTcp : packet::ip_protocol::kUdp);
  sum.add(l4_bytes);
  const std::size_t checksum = is_tcp ? packet::TcpHeader::kChecksumAt : packet::UdpHeader::kChecksumAt;
  store16(&l4[checksum], sum.folded());
  std::uint8_t kind = VirtioNetHeader::kUdp;
  if (is_tcp) {
    kind = ip[0] >> 4 == 4 ? VirtioNetHeader::kTcpOverIpv4 : VirtioNetHeader::kTcpOverIpv6;
    if ((l4[13] & packet::TcpHeader::cwr) != 0) kind |= VirtioNetHeader::kWithCwr;
  } else {
    store16(&l4[4], static_cast<std::uint16_t>(l4_bytes));
  }
  return {.flags = VirtioNetHeader::kNeedsChecksum,
          .segmentation = kind,
          .header_length = static_cast<std::uint16_t>(headers.size()),
          .segment_size = request.segment_size,
          .checksum_start = static_cast<std::uint16_t>(request.l4_offset()),
          .checksum_offset = static_cast<std::uint16_t>(checksum)};
}

std::optional<TxOffload> superframe_request(const VirtioNetHeader& header,
                                            std::span<const std::uint8_t> start) noexcept {
  const unsigned kind = header.segmentation & ~unsigned{VirtioNetHeader::kWithCwr};
  const bool is_udp = kind == VirtioNetHeader::kUdp;
  const bool is_tcp = kind == VirtioNetHeader::kTcpOverIpv4 || kind == VirtioNetHeader::kTcpOverIpv6;
  const std::size_t l4 = header.checksum_start;
  const std::size_t fixed = is_udp ? packet::UdpHeader::kLength : packet::TcpHeader::kLength;
  const bool needs_checksum = (header.flags & VirtioNetHeader::kNeedsChecksum) != 0;
  if (!(is_udp || is_tcp) || !needs_checksum || header.segment_size == 0 || l4 + fixed > start.size()) return {};
  TxOffload request{.flags = is_udp ? TxOffload::udp_segmentation : TxOffload::tcp_segmentation,
                    .l2 = ethernet_bytes(start),
                    .segment_size = header.segment_size};
  if (l4 < std::size_t{request.l2} + kShortestIp) return {};
  request.l3 = static_cast<std::uint16_t>(l4 - request.l2);
  const unsigned version = start[request.l2] >> 4;
  if (version == 4 ? request.l3 != (start[request.l2] & 0xF) * 4 : version != 6 || request.l3 < kShortestIpv6)
    return {};
  request.l4 = static_cast<std::uint16_t>(is_udp ? fixed : (start[l4 + 12] >> 4) * std::size_t{4});
  return request.l4 >= fixed && l4 + request.l4 <= start.size() ? std::optional(request) : std::nullopt;
}

void request_checksum(Mbuf& frame, const VirtioNetHeader& header) noexcept {
  TxOffload request{.flags = header.checksum_offset == packet::TcpHeader::kChecksumAt   ? TxOffload::tcp_checksum
                             : header.checksum_offset == packet::UdpHeader::kChecksumAt ? TxOffload::udp_checksum
                                                                                        : std::uint32_t{0}};
  if (request.flags == 0) return complete_internet_checksum(frame, header.checksum_start, header.checksum_offset);
  request.l2 = std::min(ethernet_bytes(frame.bytes()), header.checksum_start);
  request.l3 = static_cast<std::uint16_t>(header.checksum_start - request.l2);
  frame.set_tx_offload(request);
}

std::uint16_t ethernet_bytes(std::span<const std::uint8_t> frame) noexcept {
  constexpr std::uint16_t kCustomerTag = 0x8100;
  constexpr std::uint16_t kServiceTag = 0x88A8;
  std::uint16_t length = kEthernetHeaderBytes;
  for (int tags = 0; tags < 2 && length + kVlanTagBytes <= frame.size(); ++tags) {
    const std::uint16_t type = packet::load16(&frame[length - 2U]);
    if (type != kCustomerTag && type != kServiceTag) break;
    length = static_cast<std::uint16_t>(length + kVlanTagBytes);
  }
  return length;
}

}  // namespace pollux
