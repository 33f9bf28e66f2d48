// SPDX-License-Identifier: BSD-3-Clause
#include "l3fwd/router.hpp"

#include <algorithm>

#include "host_address.hpp"

namespace pollux::examples {
namespace {

constexpr std::size_t kTimeToLiveAt = 8;
constexpr std::size_t kIpv4ChecksumAt = 10;
constexpr std::size_t kHopLimitAt = 7;

/// RFC 1812, 5.3.7 and 4.2.2.11.
bool is_forwarded(const packet::Ipv4Address& address) noexcept { return is_host_address(address); }
/// Multicast, link-local addresses, the loopback address and the unspecified one (RFC 4291, 2.5).
bool is_forwarded(const packet::Ipv6Address& address) noexcept {
  if (address[0] == 0xFF || (address[0] == 0xFE && (address[1] & 0xC0) == 0x80)) return false;
  return std::any_of(address.begin(), address.end() - 1, [](std::uint8_t byte) { return byte != 0; }) ||
         address[15] > 1;
}

}  // namespace

Router::Outcome Router::route(Mbuf& frame, std::uint16_t from) noexcept {
  const std::span<std::uint8_t> bytes = frame.bytes();
  const auto ethernet = packet::EthernetHeader::read(bytes);
  if (!ethernet || frame.is_shared()) return {.drop = &bad_header_};
  if (ethernet->destination != macs_[from]) return {.drop = &not_for_us_};
  const std::span<std::uint8_t> packet = bytes.subspan(packet::EthernetHeader::kLength);
  const std::uint32_t length = frame.packet_length() - static_cast<std::uint32_t>(packet::EthernetHeader::kLength);
  const NextHop* hop = nullptr;
  DropCounter* drop = &not_ip_;
  if (ethernet->ether_type == packet::ether_type::kIpv4) drop = forward_ipv4(packet, length, hop);
  if (ethernet->ether_type == packet::ether_type::kIpv6) drop = forward_ipv6(packet, length, hop);
  if (drop != nullptr) return {.drop = drop};
  std::copy_n(hop->mac.begin(), 6, bytes.begin());
  std::copy_n(macs_[hop->port].begin(), 6, bytes.begin() + 6);
  ++forwarded_;
  return {.port = hop->port};
}

DropCounter* Router::forward_ipv4(std::span<std::uint8_t> packet, std::uint32_t packet_length,
                                  const NextHop*& hop) noexcept {
  const auto ip = packet::Ipv4Header::read(packet);
  if (!ip || ip->total_length < ip->length() || ip->total_length > packet_length) return &bad_header_;
  if (packet::internet_checksum(packet.first(ip->length())) != 0) return &bad_header_;
  if (!is_forwarded(ip->destination) || !is_forwarded(ip->source)) return &no_route_;
  hop = routes_.find(ip->destination);
  if (hop == nullptr) return &no_route_;
  if (ip->time_to_live <= 1) return &ttl_expired_;
  const std::uint16_t before = packet::load16(&packet[kTimeToLiveAt]);  // with the protocol
  --packet[kTimeToLiveAt];
  packet::store16(&packet[kIpv4ChecksumAt],
                  packet::updated_checksum(ip->checksum, before, packet::load16(&packet[kTimeToLiveAt])));
  return nullptr;
}

DropCounter* Router::forward_ipv6(std::span<std::uint8_t> packet, std::uint32_t packet_length,
                                  const NextHop*& hop) noexcept {
  const auto ip = packet::Ipv6Header::read(packet);
  if (!ip || ip->payload_length + packet::Ipv6Header::kLength > packet_length) return &bad_header_;
  if (!is_forwarded(ip->destination) || !is_forwarded(ip->source)) return &no_route_;
  hop = routes_.find(ip->destination);
  if (hop == nullptr) return &no_route_;
  if (ip->hop_limit <= 1) return &ttl_expired_;
  --packet[kHopLimitAt];
  return nullptr;
}

}  // namespace pollux::examples
