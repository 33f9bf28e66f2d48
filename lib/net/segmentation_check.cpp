// SPDX-License-Identifier: BSD-3-Clause
#include "net/checksums.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/transport.hpp"

namespace pollux {
namespace {

constexpr std::uint16_t kShortestIp = 20;
constexpr std::uint16_t kEthernet = 14;

/// Whether the header at `ip` has `length` bytes and announces `protocol` at its end, as far as that is simple
/// to see: the extension headers of IPv6 are the sender's word.
bool is_ip_header(const std::uint8_t* ip, std::uint16_t length, std::uint8_t protocol) noexcept {
  if (ip[0] >> 4 == 4) return length == (ip[0] & 0xF) * 4 && length >= kShortestIp && ip[9] == protocol;
  constexpr std::uint16_t kIpv6Length = 40;
  return ip[0] >> 4 == 6 && length >= kIpv6Length && (length > kIpv6Length || ip[6] == protocol);
}

/// The same as `segmentation_fits`, behind the headers of a tunnel.
bool inner_fits(const Mbuf& frame, const TxOffload& request) noexcept {
  const bool is_tcp = (request.flags & TxOffload::tcp_segmentation) != 0;
  if (is_tcp && (request.flags & TxOffload::udp_segmentation) != 0) return false;
  const std::uint32_t payload = request.l4_offset() + request.l4;
  if (request.segment_size == 0 || request.l3 < kShortestIp || payload > frame.length() ||
      payload >= frame.packet_length()) {
    return false;
  }
  const std::uint8_t* const ip = frame.data() + request.l3_offset();
  if (!is_ip_header(ip, request.l3, is_tcp ? packet::ip_protocol::kTcp : packet::ip_protocol::kUdp)) return false;
  if (!is_tcp) return request.l4 == packet::UdpHeader::kLength;
  return request.l4 >= packet::TcpHeader::kLength && request.l4 == (frame.data()[request.l4_offset() + 12] >> 4) * 4;
}

}  // namespace

bool segmentation_fits(const Mbuf& frame) noexcept {
  const TxOffload request = frame.tx_offload();
  return request.outer_l2 + request.outer_l3 == 0 && inner_fits(frame, request);
}

bool tunnel_segmentation_fits(const Mbuf& frame) noexcept {
  const TxOffload request = frame.tx_offload();
  if ((request.flags & TxOffload::tcp_segmentation) == 0 || request.outer_l2 < kEthernet ||
      request.outer_l3 < kShortestIp || request.l2 < packet::UdpHeader::kLength || !inner_fits(frame, request)) {
    return false;
  }
  return is_ip_header(frame.data() + request.outer_l2, request.outer_l3, packet::ip_protocol::kUdp);
}

}  // namespace pollux
