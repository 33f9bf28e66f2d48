// SPDX-License-Identifier: BSD-3-Clause
#include <span>

#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/sums.hpp"
#include "pollux/net/packet/transport.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "runtime/gro/flow.hpp"

namespace pollux::gro {
namespace {

/// `bytes`: of the IP packet. `has_checksum`: the checksum of an IPv4 header is right before.
void write_ip_length(std::uint8_t* ip, bool is_ipv6, std::uint32_t bytes, bool has_checksum) noexcept {
  if (is_ipv6) return packet::store16(ip + 4, static_cast<std::uint16_t>(bytes - kIpv6));
  const auto length = static_cast<std::uint16_t>(bytes);
  const std::uint16_t before = packet::load16(ip + 2);
  packet::store16(ip + 2, length);
  if (has_checksum) {
    packet::store16(ip + 10, packet::updated_checksum(packet::load16(ip + 10), before, length));
  } else {
    packet::store16(ip + 10, 0);
    packet::store16(ip + 10, packet::internet_checksum(std::span<const std::uint8_t>(ip, 20)));
  }
}

/// The sum of addresses and protocol; for segmentation it does not include the length (TxOffload).
std::uint16_t pseudo_header_sum(const Flow& flow) noexcept {
  const std::uint8_t* const ip = flow.bytes + flow.l3;
  packet::InternetSum sum;
  sum.add(flow.is_ipv6 ? std::span(ip + 8, 32) : std::span(ip + 12, 8));
  sum.add(flow.protocol());
  return sum.folded();
}

void write_transport(const Flow& flow) noexcept {
  std::uint8_t* const l4 = flow.head->data() + flow.l4;
  if (flow.is_udp) packet::store16(l4 + 4, static_cast<std::uint16_t>(flow.length - flow.l4));
  packet::store16(l4 + (flow.is_udp ? packet::UdpHeader::kChecksumAt : packet::TcpHeader::kChecksumAt),
                  pseudo_header_sum(flow));
}

std::uint32_t ip_type(bool is_ipv6, unsigned bytes) noexcept {
  if (!is_ipv6) return PacketType::ipv4;
  return PacketType::ipv6 | (bytes > kIpv6 ? std::uint32_t{PacketType::ipv6_extensions} : 0U);
}

void attach_metadata(const Flow& flow) noexcept {
  const RxMetadata metadata(*flow.head);
  std::uint32_t type = ip_type(flow.is_ipv6, flow.l4 - unsigned{flow.l3}) |
                       std::uint32_t{flow.is_udp ? PacketType::udp : PacketType::tcp};
  if (flow.in_tunnel()) type |= ip_type(flow.outer_is_ipv6, flow.outer_l4 - unsigned{flow.outer_l3});
  const bool is_ipv6 = flow.in_tunnel() ? flow.outer_is_ipv6 : flow.is_ipv6;
  SoftwareRxMetadata{.packet_type = {type},
                     .rss_hash = metadata.rss_hash(),
                     .vlan = metadata.vlan(),
                     .vlan_is_inner = metadata.vlan_is_inner(),
                     .ip_checksum = is_ipv6 ? ChecksumStatus::unknown : ChecksumStatus::good}
      .attach_to(*flow.head);
}

TxOffload request_of(const Flow& flow) noexcept {
  TxOffload request{.flags = flow.is_udp ? TxOffload::udp_segmentation : TxOffload::tcp_segmentation,
                    .l2 = flow.l3,
                    .l3 = static_cast<std::uint16_t>(flow.l4 - flow.l3),
                    .l4 = static_cast<std::uint16_t>(flow.payload - flow.l4),
                    .segment_size = static_cast<std::uint16_t>(flow.segment_size)};
  if (flow.in_tunnel()) {
    request.outer_l2 = flow.outer_l3;
    request.outer_l3 = static_cast<std::uint16_t>(flow.outer_l4 - flow.outer_l3);
    request.l2 = static_cast<std::uint16_t>(flow.l3 - flow.outer_l4);
  }
  return request;
}

/// Writes the UDP header of the tunnel for a frame of `flow.length` bytes: the length, and, unless the tunnel uses no
/// checksum, the sum of the pseudo-header without the length (TxOffload).
void finish_tunnel(const Flow& flow) noexcept {
  std::uint8_t* const ip = flow.head->data() + flow.outer_l3;
  std::uint8_t* const udp = flow.head->data() + flow.outer_l4;
  packet::store16(udp + 4, static_cast<std::uint16_t>(flow.length - flow.outer_l4));
  if (packet::load16(udp + packet::UdpHeader::kChecksumAt) == 0) return;
  packet::InternetSum sum;
  sum.add(flow.outer_is_ipv6 ? std::span<const std::uint8_t>(ip + 8, 32) : std::span<const std::uint8_t>(ip + 12, 8));
  sum.add(packet::ip_protocol::kUdp);
  packet::store16(udp + packet::UdpHeader::kChecksumAt, sum.folded());
}

}  // namespace

Mbuf& finish(const Flow& flow) noexcept {
  Mbuf& frame = *flow.head;
  if (flow.count == 1) return frame;
  MbufAccess::segment_count(frame) = static_cast<std::uint8_t>(flow.mbufs);
  MbufAccess::packet_length(frame) = flow.length;
  const bool has_checksum = (frame.tx_offload().flags & TxOffload::ipv4_checksum) == 0;
  write_ip_length(frame.data() + flow.l3, flow.is_ipv6, flow.length - flow.l3, has_checksum);
  write_transport(flow);
  if (flow.in_tunnel()) {
    write_ip_length(frame.data() + flow.outer_l3, flow.outer_is_ipv6, flow.length - flow.outer_l3, true);
    finish_tunnel(flow);
  }
  attach_metadata(flow);
  frame.set_tx_offload(request_of(flow));
  return frame;
}

}  // namespace pollux::gro
