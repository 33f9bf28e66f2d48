// SPDX-License-Identifier: BSD-3-Clause
#include <span>

#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/sums.hpp"
#include "pollux/net/packet/transport.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "runtime/gro/flow.hpp"
#include "runtime/gro/header_words.hpp"

namespace pollux::gro {
namespace {

void write_ipv4_length(std::uint8_t* ip, std::uint32_t bytes) noexcept {
  const auto length = static_cast<std::uint16_t>(bytes);
  packet::store16(ip + 10, packet::updated_checksum(packet::load16(ip + 10), packet::load16(ip + 2), length));
  packet::store16(ip + 2, length);
}

/// The sum of addresses and protocol; for segmentation it does not include the length (TxOffload).
std::uint16_t pseudo_header_sum(const Flow& flow) noexcept {
  const std::uint8_t* const ip = flow.bytes + flow.l3;
  packet::InternetSum sum;
  sum.add(flow.is_ipv6 ? std::span(ip + 8, 32) : std::span(ip + 12, 8));
  sum.add(packet::ip_protocol::kTcp);
  return sum.folded();
}

void attach_metadata(const Flow& flow) noexcept {
  const RxMetadata metadata(*flow.head);
  std::uint32_t type =
      std::uint32_t{PacketType::tcp} | std::uint32_t{flow.is_ipv6 ? PacketType::ipv6 : PacketType::ipv4};
  if (flow.is_ipv6 && flow.l4 - unsigned{flow.l3} > kIpv6) type |= PacketType::ipv6_extensions;
  SoftwareRxMetadata{.packet_type = {type},
                     .rss_hash = metadata.rss_hash(),
                     .vlan = metadata.vlan(),
                     .ip_checksum = flow.is_ipv6 ? ChecksumStatus::unknown : ChecksumStatus::good}
      .attach_to(*flow.head);
}

}  // namespace

Mbuf& finish(const Flow& flow) noexcept {
  Mbuf& frame = *flow.head;
  if (flow.count == 1) return frame;
  MbufAccess::segment_count(frame) = static_cast<std::uint8_t>(flow.mbufs);
  MbufAccess::packet_length(frame) = flow.length;
  std::uint8_t* const ip = frame.data() + flow.l3;
  if (flow.is_ipv6) {
    packet::store16(ip + 4, static_cast<std::uint16_t>(flow.length - flow.l3 - kIpv6));
  } else {
    write_ipv4_length(ip, flow.length - flow.l3);
  }
  packet::store16(frame.data() + flow.l4 + packet::TcpHeader::kChecksumAt, pseudo_header_sum(flow));
  attach_metadata(flow);
  frame.set_tx_offload({.flags = TxOffload::tcp_segmentation,
                        .l2 = flow.l3,
                        .l3 = static_cast<std::uint16_t>(flow.l4 - flow.l3),
                        .l4 = static_cast<std::uint16_t>(flow.payload - flow.l4),
                        .segment_size = static_cast<std::uint16_t>(flow.segment_size)});
  return frame;
}

}  // namespace pollux::gro
