// SPDX-License-Identifier: BSD-3-Clause
#include "net/checksums.hpp"
#include "net/packet/ip_headers.hpp"
#include "pollux/net/packet/ethernet.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/transport.hpp"

namespace pollux {
namespace {

/// Whether a whole IP packet of `protocol` has headers of `length` bytes at `at`, which are in the first mbuf.
bool is_ip_packet(const Mbuf& frame, std::uint32_t at, std::uint16_t length, std::uint8_t protocol) noexcept {
  const auto headers = packet::read_ip_headers(FrameBytes::to_read(frame), at, length);
  return headers && !headers->is_fragment && headers->protocol == protocol;
}

/// Whether nothing but tags and MPLS labels (RFC 3032) lies between the MAC addresses and the IP header at `l2`, so
/// that the segments need no other lengths than those of IP. The bytes exist.
bool is_link_header(std::span<const std::uint8_t> frame, std::uint32_t l2) noexcept {
  constexpr std::uint16_t kMpls = 0x8847;
  constexpr std::uint16_t kMplsMulticast = 0x8848;
  constexpr std::uint32_t kLabel = 4;
  std::uint32_t at = packet::EthernetHeader::kLength;
  if (l2 < at) return false;
  std::uint16_t type = packet::load16(&frame[at - 2U]);
  for (; packet::is_vlan(type) && at + packet::VlanHeader::kLength <= l2; at += packet::VlanHeader::kLength) {
    type = packet::load16(&frame[at + 2U]);
  }
  if (type == kMpls || type == kMplsMulticast) {
    while (at + kLabel < l2 && (frame[at + 2] & 1) == 0) at += kLabel;
    return at + kLabel == l2 && (frame[at + 2] & 1) != 0;
  }
  return at == l2 && type == (frame[at] >> 4 == 4 ? packet::ether_type::kIpv4 : packet::ether_type::kIpv6);
}

/// The same as `segmentation_fits`, behind the headers of a tunnel.
bool inner_fits(const Mbuf& frame, const TxOffload& request) noexcept {
  const bool is_tcp = (request.flags & TxOffload::tcp_segmentation) != 0;
  if (is_tcp && (request.flags & TxOffload::udp_segmentation) != 0) return false;
  const std::uint32_t payload = request.l4_offset() + request.l4;
  if (request.segment_size == 0 || payload > frame.length() || payload >= frame.packet_length()) return false;
  const std::uint8_t protocol = is_tcp ? packet::ip_protocol::kTcp : packet::ip_protocol::kUdp;
  if (!is_ip_packet(frame, request.l3_offset(), request.l3, protocol)) return false;
  if (!is_tcp) return request.l4 == packet::UdpHeader::kLength;
  return request.l4 >= packet::TcpHeader::kLength && request.l4 == (frame.data()[request.l4_offset() + 12] >> 4) * 4;
}

}  // namespace

bool segmentation_fits(const Mbuf& frame) noexcept {
  const TxOffload request = frame.tx_offload();
  return request.outer_l2 + request.outer_l3 == 0 && inner_fits(frame, request) &&
         is_link_header(frame.bytes(), request.l2);
}

std::uint32_t segments_of(const Mbuf& frame) noexcept {
  const TxOffload request = frame.tx_offload();
  const std::uint32_t payload = frame.packet_length() - request.l4_offset() - request.l4;
  return (payload + request.segment_size - 1) / request.segment_size;
}

bool tunnel_segmentation_fits(const Mbuf& frame) noexcept {
  const TxOffload request = frame.tx_offload();
  if ((request.flags & TxOffload::tcp_segmentation) == 0 || request.l2 < packet::UdpHeader::kLength ||
      !inner_fits(frame, request) || !is_link_header(frame.bytes(), request.outer_l2)) {
    return false;
  }
  return is_ip_packet(frame, request.outer_l2, request.outer_l3, packet::ip_protocol::kUdp);
}

}  // namespace pollux
