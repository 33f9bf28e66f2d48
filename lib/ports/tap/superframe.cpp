// SPDX-License-Identifier: BSD-3-Clause
#include "ports/tap/superframe.hpp"

#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/sums.hpp"
#include "pollux/net/packet/transport.hpp"

namespace pollux::tap {
namespace {

using packet::store16;

/// Writes the lengths and returns the sum of the addresses.
packet::InternetSum complete_ip(std::span<std::uint8_t> ip, std::uint32_t bytes) noexcept {
  packet::InternetSum addresses;
  if (ip[0] >> 4 == 4) {
    store16(&ip[2], static_cast<std::uint16_t>(bytes));
    store16(&ip[10], 0);
    store16(&ip[10], packet::internet_checksum(ip));
    addresses.add(ip.subspan(12, 8));
  } else {
    constexpr std::uint32_t kIpv6 = 40;
    store16(&ip[4], static_cast<std::uint16_t>(bytes - kIpv6));
    addresses.add(ip.subspan(8, 32));
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

}  // namespace pollux::tap
