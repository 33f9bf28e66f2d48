// SPDX-License-Identifier: BSD-3-Clause
#include "net/checksums.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/transport.hpp"

namespace pollux {
namespace {

/// Whether the header at `ip` has the request's length and announces `protocol` at its end, as far as that is simple
/// to see: the extension headers of IPv6 are the sender's word.
bool is_ip_header(const std::uint8_t* ip, const TxOffload& request, std::uint8_t protocol) noexcept {
  if (ip[0] >> 4 == 4) {
    return request.l3 == (ip[0] & 0xF) * 4 && request.l3 >= 20 && ip[9] == protocol;
  }
  constexpr std::uint16_t kIpv6 = 40;
  return ip[0] >> 4 == 6 && request.l3 >= kIpv6 && (request.l3 > kIpv6 || ip[6] == protocol);
}

}  // namespace

bool segmentation_fits(const Mbuf& frame) noexcept {
  const TxOffload request = frame.tx_offload();
  const bool is_tcp = (request.flags & TxOffload::tcp_segmentation) != 0;
  if (is_tcp && (request.flags & TxOffload::udp_segmentation) != 0) return false;
  constexpr std::uint16_t kShortestIp = 20;
  const std::uint32_t payload = request.l4_offset() + request.l4;
  if (request.segment_size == 0 || request.outer_l2 + request.outer_l3 != 0 || request.l3 < kShortestIp ||
      payload > frame.length() || payload >= frame.packet_length()) {
    return false;
  }
  const std::uint8_t* const ip = frame.data() + request.l3_offset();
  if (!is_ip_header(ip, request, is_tcp ? packet::ip_protocol::kTcp : packet::ip_protocol::kUdp)) return false;
  if (!is_tcp) return request.l4 == packet::UdpHeader::kLength;
  return request.l4 >= packet::TcpHeader::kLength && request.l4 == (frame.data()[request.l4_offset() + 12] >> 4) * 4;
}

}  // namespace pollux
