// SPDX-License-Identifier: BSD-3-Clause
#include "net/common_headers.hpp"

#include <optional>

#include "net/packet/ip_headers.hpp"
#include "pollux/net/packet/ethernet.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/transport.hpp"

namespace pollux {
namespace {

namespace ether = packet::ether_type;

/// The EtherType behind an Ethernet header of `bytes` bytes; 0 if its tags are not the usual ones.
std::uint16_t ether_type_of(const FrameBytes& frame, std::uint32_t bytes) noexcept {
  constexpr std::uint32_t kNoTag = packet::EthernetHeader::kLength;
  constexpr std::uint32_t kOneTag = kNoTag + packet::VlanHeader::kLength;
  constexpr std::uint32_t kTwoTags = kOneTag + packet::VlanHeader::kLength;
  if (bytes > frame.size()) return 0;
  const auto is_tag = [&](std::uint32_t end, std::uint16_t tag) { return frame.read16(end - 2) == tag; };
  const bool is_usual = bytes == kNoTag ||
                        (bytes == kOneTag && (is_tag(kNoTag, ether::kVlan) || is_tag(kNoTag, ether::kService))) ||
                        (bytes == kTwoTags && is_tag(kNoTag, ether::kService) && is_tag(kOneTag, ether::kVlan));
  return is_usual ? frame.read16(bytes - 2) : std::uint16_t{0};
}

std::optional<packet::IpHeaders> common_ip(const FrameBytes& frame, std::uint32_t at, std::uint32_t length) noexcept {
  auto headers = packet::read_ip_headers(frame, at, length);
  if (!headers || !headers->is_common || headers->is_fragment) return std::nullopt;
  // With so many options, the request could be one for IPv6.
  if (headers->is_ipv4() && length == packet::Ipv6Header::kLength) return std::nullopt;
  return headers;
}

bool follows_ethernet(const FrameBytes& frame, std::uint32_t ethernet, const packet::IpHeaders& ip) noexcept {
  return ether_type_of(frame, ethernet) == (ip.is_ipv4() ? ether::kIpv4 : ether::kIpv6);
}

bool has_no_extensions(const packet::IpHeaders& ip, std::uint32_t length) noexcept {
  return ip.is_ipv4() || length == packet::Ipv6Header::kLength;
}

/// Whether `l2` bytes behind the outer IP header are those of a tunnel of `protocol`.
bool is_tunnel(const FrameBytes& frame, const TxOffload& request, std::uint8_t protocol,
               const packet::IpHeaders& inner) noexcept {
  // IANA's protocol numbers.
  constexpr std::uint8_t kIpInIp = 4;
  constexpr std::uint8_t kIpv6InIp = 41;
  constexpr std::uint8_t kGre = 47;
  constexpr std::uint16_t kGreBytes = 4;
  // RFC 2784 and RFC 2890: a checksum or a sequence number differs between segments. The version must be 0.
  constexpr std::uint16_t kGreUnfit = 0x8000 | 0x1000 | 0x0007;
  switch (protocol) {
    case packet::ip_protocol::kUdp: return request.l2 >= packet::UdpHeader::kLength;
    case kGre:
      return request.l2 >= kGreBytes &&
             (frame.read16(std::size_t{request.outer_l2} + request.outer_l3) & kGreUnfit) == 0;
    case kIpInIp: return request.l2 == 0 && inner.is_ipv4();
    case kIpv6InIp: return request.l2 == 0 && !inner.is_ipv4();
    default: return false;
  }
}

}  // namespace

bool has_common_headers(const FrameBytes& frame, const TxOffload& request, std::uint8_t protocol) noexcept {
  if (request.outer_l2 + request.outer_l3 != 0) return false;
  const auto ip = common_ip(frame, request.l2, request.l3);
  return ip && (protocol == 0 || ip->protocol == protocol) && follows_ethernet(frame, request.l2, *ip);
}

bool has_common_tunnel(const FrameBytes& frame, const TxOffload& request) noexcept {
  const auto outer = common_ip(frame, request.outer_l2, request.outer_l3);
  const auto inner = common_ip(frame, request.l3_offset(), request.l3);
  return outer && inner && inner->protocol == packet::ip_protocol::kTcp &&
         has_no_extensions(*outer, request.outer_l3) && has_no_extensions(*inner, request.l3) &&
         follows_ethernet(frame, request.outer_l2, *outer) && is_tunnel(frame, request, outer->protocol, *inner);
}

bool fills_frame(const FrameBytes& frame, const TxOffload& request, std::uint8_t protocol) noexcept {
  const std::size_t ip = request.l3_offset();
  const bool is_ipv4 = frame.read8(ip) >> 4 == 4;
  const std::size_t end = ip + (is_ipv4 ? frame.read16(ip + 2) : frame.read16(ip + 4) + packet::Ipv6Header::kLength);
  return end == frame.size() && packet::covered_end(frame, request.l4_offset(), end, protocol) == end;
}

}  // namespace pollux
