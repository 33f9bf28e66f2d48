// SPDX-License-Identifier: BSD-3-Clause
// What differs between the headers of a frame that requests segmentation and those of its segments.
#include <algorithm>
#include <span>

#include "net/packet/ip_headers.hpp"
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/sums.hpp"
#include "pollux/net/packet/transport.hpp"
#include "pollux/runtime/gso.hpp"

namespace pollux {
namespace {

using packet::load16;
using packet::load32;
using packet::store16;
using packet::store32;
using packet::TcpHeader;
using packet::UdpHeader;

constexpr std::uint32_t kIpv6Bytes = 40;

/// Writes length, identification and header checksum. `bytes`: of the IP packet.
void write_ip(std::span<std::uint8_t> ip, std::uint32_t bytes, std::uint16_t index) noexcept {
  if (ip[0] >> 4 == 6) return store16(&ip[4], static_cast<std::uint16_t>(bytes - kIpv6Bytes));
  store16(&ip[2], static_cast<std::uint16_t>(bytes));
  store16(&ip[4], static_cast<std::uint16_t>(load16(&ip[4]) + index));
  store16(&ip[10], 0);
  store16(&ip[10], packet::internet_checksum(ip));
}

/// `ip`: headers that have been checked.
packet::InternetSum pseudo_header_of(std::span<const std::uint8_t> ip, bool is_tcp, std::uint32_t bytes) noexcept {
  const packet::PseudoHeaderPlaces addresses = packet::read_ip_headers(ip)->addresses;
  packet::InternetSum sum;
  sum.add(ip.subspan(addresses.source, addresses.bytes));
  sum.add(ip.subspan(addresses.destination, addresses.bytes));
  sum.add(is_tcp ? packet::ip_protocol::kTcp : packet::ip_protocol::kUdp);
  sum.add(bytes);
  return sum;
}

void add_frame(packet::InternetSum& sum, Mbuf& frame, std::uint32_t from) noexcept {
  for (Mbuf* part = &frame; part != nullptr; part = part->next()) {
    const std::uint32_t skipped = std::min(from, part->length());
    sum.add(std::span<const std::uint8_t>(part->bytes()).subspan(skipped));
    from -= skipped;
  }
}

/// The IP and UDP headers of the tunnel. What is in the tunnel is complete.
void write_tunnel(Mbuf& segment, const TxOffload& request, std::uint16_t index) noexcept {
  const std::uint32_t udp_at = std::uint32_t{request.outer_l2} + request.outer_l3;
  const std::uint32_t udp_bytes = segment.packet_length() - udp_at;
  const std::span<std::uint8_t> ip = segment.bytes().subspan(request.outer_l2, request.outer_l3);
  std::uint8_t* const udp = segment.data() + udp_at;
  write_ip(ip, request.outer_l3 + udp_bytes, index);
  store16(udp + 4, static_cast<std::uint16_t>(udp_bytes));
  if (load16(udp + UdpHeader::kChecksumAt) == 0) return;  // the tunnel has no checksums (RFC 768, RFC 6935)
  store16(udp + UdpHeader::kChecksumAt, 0);
  packet::InternetSum sum = pseudo_header_of(ip, false, udp_bytes);
  add_frame(sum, segment, udp_at);
  store16(udp + UdpHeader::kChecksumAt, packet::udp_checksum(sum.checksum()));
}

}  // namespace

void Segmenter::write_headers(Mbuf& segment, std::uint32_t payload) const noexcept {
  const bool is_tcp = (request_.flags & TxOffload::tcp_segmentation) != 0;
  const std::span<std::uint8_t> ip = segment.bytes().subspan(request_.l3_offset(), request_.l3);
  std::uint8_t* const l4 = segment.data() + request_.l4_offset();
  const std::uint32_t l4_bytes = request_.l4 + payload;
  write_ip(ip, request_.l3 + l4_bytes, index_);
  if (is_tcp) {
    constexpr unsigned kLast = TcpHeader::fin | TcpHeader::psh;
    store32(l4 + 4, load32(l4 + 4) + offset_);
    if (offset_ + payload != length_) l4[13] = static_cast<std::uint8_t>(l4[13] & ~kLast);
    if (offset_ != 0) l4[13] = static_cast<std::uint8_t>(l4[13] & ~unsigned{TcpHeader::cwr});
  } else {
    store16(l4 + 4, static_cast<std::uint16_t>(l4_bytes));
  }
  packet::InternetSum sum = pseudo_header_of(ip, is_tcp, l4_bytes);
  std::uint8_t* const field = l4 + (is_tcp ? TcpHeader::kChecksumAt : UdpHeader::kChecksumAt);
  TxOffload rest{.flags = request_.flags & (TxOffload::insert_vlan | TxOffload::insert_outer_vlan)};
  if (offset_ + payload == length_) rest.flags |= request_.flags & TxOffload::timestamp;
  if ((rest.flags & TxOffload::insert_vlan) != 0) rest.vlan = request_.vlan;
  if ((rest.flags & TxOffload::insert_outer_vlan) != 0) rest.outer_vlan = request_.outer_vlan;
  if (partial_) {
    store16(field, sum.folded());
    rest.flags |= is_tcp ? TxOffload::tcp_checksum : TxOffload::udp_checksum;
    rest.l2 = request_.l2;
    rest.l3 = request_.l3;
  } else {
    store16(field, 0);
    add_frame(sum, segment, request_.l4_offset());
    store16(field, is_tcp ? sum.checksum() : packet::udp_checksum(sum.checksum()));
  }
  if (request_.outer_l3 != 0) write_tunnel(segment, request_, index_);
  segment.set_tx_offload(rest);
  segment.set_user(frame_->user());
}

}  // namespace pollux
