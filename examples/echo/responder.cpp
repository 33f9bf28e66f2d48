// SPDX-License-Identifier: BSD-3-Clause
#include "echo/responder.hpp"

#include <algorithm>

#include "host_address.hpp"

namespace pollux::examples {

namespace {

using Bytes = std::span<std::uint8_t>;

// ICMP (RFC 792): type, code, checksum, identifier, sequence number.
constexpr std::size_t kIcmpHeader = 8;
constexpr std::uint8_t kEchoRequest = 8;
constexpr std::uint8_t kEchoReply = 0;
constexpr std::uint8_t kTimeToLive = 64;  // RFC 1700, "IP Time to Live Parameter"

// A group address, from which no request comes.
bool is_multicast(const MacAddress& mac) noexcept { return (mac[0] & 1) != 0; }
constexpr MacAddress kEveryStation{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

/// RFC 768: a checksum of zero is none.
bool has_good_sum(const packet::Ipv4Header& ip, Bytes datagram, const packet::UdpHeader& udp) noexcept {
  auto sum = packet::pseudo_header(ip.source, ip.destination, packet::ip_protocol::kUdp, udp.length);
  sum.add(datagram.first(udp.length));
  return udp.checksum == 0 || sum.is_good();
}

void swap_bytes(Bytes bytes, std::size_t one, std::size_t other, std::size_t count) noexcept {
  std::swap_ranges(bytes.data() + one, bytes.data() + one + count, bytes.data() + other);
}

}  // namespace

bool EchoResponder::answer(Mbuf& frame) noexcept {
  if (frame.next() != nullptr || frame.is_shared()) return false;
  const Bytes bytes = frame.bytes();
  const packet::Layout layout = packet::parse(frame);
  if (layout.truncated || layout.malformed || bytes.size() < packet::EthernetHeader::kLength) return false;
  // A port may receive what is for other stations.
  const auto ethernet = packet::EthernetHeader::read(bytes);
  const bool is_arp = layout.ether_type == packet::ether_type::kArp;
  if (ethernet->destination != options_.mac && !(is_arp && ethernet->destination == kEveryStation)) return false;
  if (is_multicast(ethernet->source) || ethernet->source == options_.mac) return false;
  const bool answered = is_arp ? answer_arp(bytes, layout.l3) : answer_ip(bytes, layout, frame.has_partial_checksum());
  if (answered) return_to_sender(bytes);
  return answered;
}

void EchoResponder::return_to_sender(Bytes frame) const noexcept {
  std::copy_n(frame.begin() + 6, 6, frame.begin());
  std::copy_n(options_.mac.begin(), 6, frame.begin() + 6);
}

bool EchoResponder::answer_arp(Bytes frame, std::size_t at) noexcept {
  const Bytes packet = frame.subspan(at);
  const auto request = packet::ArpHeader::read(packet);
  if (!request || request->operation != packet::ArpHeader::kRequest || request->target != options_.address)
    return false;
  // A probe has no sender yet (RFC 5227, 2.1.1).
  if (is_multicast(request->sender_mac) || !(is_peer(request->sender) || request->sender == packet::Ipv4Address{}))
    return false;
  const packet::ArpHeader reply{.operation = packet::ArpHeader::kReply,
                                .sender_mac = options_.mac,
                                .sender = options_.address,
                                .target_mac = request->sender_mac,
                                .target = request->sender};
  static_cast<void>(reply.write(packet));  // it has the room of the request
  ++answers_.arp;
  return true;
}

bool EchoResponder::is_peer(const packet::Ipv4Address& address) const noexcept {
  if (!is_host_address(address) || address == options_.address) return false;
  if (options_.prefix > 30) return true;
  const std::uint32_t hosts = ~std::uint32_t{0} >> options_.prefix;
  const std::uint32_t number = packet::load32(address.data());
  const std::uint32_t network = packet::load32(options_.address.data()) & ~hosts;
  return number != network && number != (network | hosts);
}

bool EchoResponder::answer_ip(Bytes frame, const packet::Layout& layout, bool is_partial) noexcept {
  if (layout.ether_type != packet::ether_type::kIpv4 || layout.fragment != packet::Fragment::none) return false;
  if (layout.l4 == 0) return false;
  const Bytes header = frame.subspan(layout.l3, layout.l3_length());
  const auto ip = packet::Ipv4Header::read(header);
  if (!ip || ip->destination != options_.address || packet::internet_checksum(header) != 0) return false;
  // A packet on a route is for another host in the end (RFC 791, 3.1).
  const auto addresses = packet::pseudo_header_places(frame, layout);
  if (!addresses || addresses->destination != layout.l3 + std::size_t{16}) return false;
  if (!is_peer(ip->source)) return false;
  const Bytes content = frame.subspan(layout.l4, std::size_t{layout.end} - layout.l4);
  const bool answered = (ip->protocol == packet::ip_protocol::kIcmp && answer_icmp(content)) ||
                        (ip->protocol == packet::ip_protocol::kUdp && answer_udp(content, is_partial ? nullptr : &*ip));
  if (!answered) return false;
  swap_bytes(header, 12, 16, 4);
  header[8] = kTimeToLive;
  std::fill_n(header.begin() + 10, 2, std::uint8_t{0});
  packet::store16(&header[10], packet::internet_checksum(header));
  return true;
}

// The checksum covers all of the message; only the type changes.
bool EchoResponder::answer_icmp(Bytes message) noexcept {
  if (message.size() < kIcmpHeader || message[0] != kEchoRequest || message[1] != 0) return false;
  if (packet::internet_checksum(message) != 0) return false;
  packet::store16(&message[2], packet::updated_checksum(packet::load16(&message[2]), kEchoRequest << 8, kEchoReply));
  message[0] = kEchoReply;
  ++answers_.icmp;
  return true;
}

// A checksum covers both ports and both addresses, so it is the same for the answer.
bool EchoResponder::answer_udp(Bytes datagram, const packet::Ipv4Header* ip) noexcept {
  const auto udp = packet::UdpHeader::read(datagram);
  if (!udp || udp->length < packet::UdpHeader::kLength || udp->length > datagram.size()) return false;
  // An answer to the own port would be answered again, and again; port 0 asks for none (RFC 768).
  if (udp->destination_port != options_.udp_port || udp->source_port == options_.udp_port || udp->source_port == 0)
    return false;
  if (ip != nullptr && !has_good_sum(*ip, datagram, *udp)) return false;
  swap_bytes(datagram, 0, 2, 2);
  ++answers_.udp;
  return true;
}

}  // namespace pollux::examples
