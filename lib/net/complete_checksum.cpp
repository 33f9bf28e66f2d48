// SPDX-License-Identifier: BSD-3-Clause
#include <array>
#include <optional>

#include "net/checksums.hpp"
#include "net/frame_bytes.hpp"
#include "net/packet/ip_headers.hpp"
#include "pollux/net/checksum_offload.hpp"
#include "pollux/net/packet/ethernet.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/sums.hpp"
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

using packet::Crc32c;
using packet::InternetSum;

constexpr std::uint32_t kIpv4Header = 20;  // the shortest
constexpr std::uint32_t kIpv4HeaderMax = 60;
constexpr std::uint32_t kIpv6Header = 40;
constexpr std::uint32_t kIpv4Checksum = 10;  // offset in the header

/// A transport protocol: its number in an IP header, and the offset and length of its checksum.
struct Transport {
  std::uint32_t flag;
  std::uint8_t protocol;
  std::uint8_t checksum;
  std::uint8_t bytes;
};
constexpr std::array kTransports{
    Transport{.flag = TxOffload::tcp_checksum, .protocol = 6, .checksum = 16, .bytes = 2},     // RFC 9293, 3.1
    Transport{.flag = TxOffload::udp_checksum, .protocol = 17, .checksum = 6, .bytes = 2},     // RFC 768
    Transport{.flag = TxOffload::sctp_checksum, .protocol = 132, .checksum = 8, .bytes = 4}};  // RFC 9260, 3.1

/// The protocol whose checksum is requested; empty if there is none, or more than one.
std::optional<Transport> transport_of(const TxOffload& request) noexcept {
  for (const Transport& one : kTransports) {
    if ((request.flags & TxOffload::kL4Checksums) == one.flag) return one;
  }
  return std::nullopt;
}

bool ipv4_fits(const FrameBytes& frame, const TxOffload& request) noexcept {
  const std::uint32_t at = request.l3_offset();
  if (request.l3 < kIpv4Header || request.l3 > kIpv4HeaderMax || at + request.l3 > frame.size()) return false;
  // Version 4 and the header length of the request: otherwise this is no IPv4 header with a checksum.
  return frame.read8(at) == (0x40 | request.l3 / 4) && request.l3 % 4 == 0;
}

// The end of the IP packet according to its header; the frame may be padded after it. If the header gives no valid end
// (for example, a length of 0 before segmentation), the end of the frame.
std::size_t packet_end(const FrameBytes& frame, const TxOffload& request, std::size_t least) noexcept {
  const std::uint32_t at = request.l3_offset();
  std::size_t end = 0;
  if (request.l3 >= kIpv4Header && frame.read8(at) >> 4 == 4) {
    end = std::size_t{at} + frame.read16(at + 2);
  } else if (request.l3 >= kIpv6Header && frame.read8(at) >> 4 == 6) {
    end = std::size_t{at} + kIpv6Header + frame.read16(at + 4);
  }
  return end >= least && end <= frame.size() ? end : frame.size();
}

// The end of the bytes that the checksum covers. An impossible UDP length counts as none: the sender of a request whose
// headers are unknown here has summed up the pseudo-header. The frame has the transport's checksum.
std::size_t checksum_end(const FrameBytes& frame, const TxOffload& request, const Transport& transport) noexcept {
  const std::size_t l4 = request.l4_offset();
  const std::size_t end = packet_end(frame, request, l4 + transport.checksum + transport.bytes);
  return packet::covered_end(frame, l4, end, transport.protocol).value_or(end);
}

// Whether the length in the header of a UDP datagram is possible, or 0, as in a jumbogram (RFC 2675, 4).
bool has_datagram(const FrameBytes& frame, const TxOffload& request, const Transport& transport) noexcept {
  const std::size_t l4 = request.l4_offset();
  if (transport.flag != TxOffload::udp_checksum || frame.read16(l4 + 4) == 0) return true;
  const std::size_t end = packet_end(frame, request, l4 + transport.checksum + transport.bytes);
  return packet::covered_end(frame, l4, end, transport.protocol).has_value();
}

bool fits(const FrameBytes& frame, const TxOffload& request) noexcept {
  if ((request.flags & TxOffload::ipv4_checksum) != 0 && !ipv4_fits(frame, request)) return false;
  if ((request.flags & TxOffload::kL4Checksums) == 0) return true;
  const auto transport = transport_of(request);
  return transport && std::size_t{request.l4_offset()} + transport->checksum + transport->bytes <= frame.size();
}

// RFC 9293, 3.1, and RFC 8200, 8.1. IPv4 and IPv6 use the same fields: addresses, protocol, length.
std::uint16_t pseudo_header_sum(const FrameBytes& frame, const TxOffload& request, const Transport& transport,
                                const packet::PseudoHeaderPlaces& addresses) noexcept {
  InternetSum sum;
  const auto add = [&](std::size_t at) {
    frame.for_each(at, at + addresses.bytes, [&sum](std::span<const std::uint8_t> piece, Mbuf*) { sum.add(piece); });
  };
  add(addresses.source);
  add(addresses.destination);
  sum.add(transport.protocol);
  // For segmentation, the card adds the length of each segment (82576 and DPDK, rte_ip.h, rte_ipv4_phdr_cksum).
  if ((request.flags & TxOffload::kSegmentation) == 0) {
    sum.add(static_cast<std::uint32_t>(checksum_end(frame, request, transport) - request.l4_offset()));
  }
  return sum.folded();
}

InternetSum sum_of(const FrameBytes& frame, std::size_t from, std::size_t to) noexcept {
  InternetSum sum;
  frame.for_each(from, to, [&sum](std::span<const std::uint8_t> piece, Mbuf*) { sum.add(piece); });
  return sum;
}

void complete_ipv4(const FrameBytes& frame, const TxOffload& request) noexcept {
  const std::uint32_t at = request.l3_offset();
  frame.write16(at + kIpv4Checksum, 0);
  frame.write16(at + kIpv4Checksum, static_cast<std::uint16_t>(~sum_of(frame, at, at + request.l3).folded()));
}

void complete_sctp(const FrameBytes& frame, const TxOffload& request, const Transport& transport) noexcept {
  const std::size_t at = std::size_t{request.l4_offset()} + transport.checksum;
  constexpr std::array<std::uint8_t, 4> kNone{};
  frame.write(at, kNone);
  Crc32c crc;
  frame.for_each(request.l4_offset(), checksum_end(frame, request, transport),
                 [&crc](std::span<const std::uint8_t> piece, Mbuf*) { crc.add(piece); });
  frame.write(at, crc.bytes());
}

// The checksum field holds the sum of the pseudo-header, so summing all bytes includes it.
void complete_internet(const FrameBytes& frame, std::size_t start, std::size_t offset, std::size_t end,
                       bool zero_means_none) noexcept {
  const auto sum = static_cast<std::uint16_t>(~sum_of(frame, start, end).folded());
  // RFC 768: a computed sum of 0 is sent as all ones.
  frame.write16(start + offset, sum == 0 && zero_means_none ? 0xFFFF : sum);
}

void complete(const FrameBytes& frame, const TxOffload& request) noexcept {
  if ((request.flags & TxOffload::ipv4_checksum) != 0) complete_ipv4(frame, request);
  const auto transport = transport_of(request);
  if (!transport) return;
  if (transport->flag == TxOffload::sctp_checksum) return complete_sctp(frame, request, *transport);
  complete_internet(frame, request.l4_offset(), transport->checksum, checksum_end(frame, request, *transport),
                    transport->flag == TxOffload::udp_checksum);
}

bool can_write(const FrameBytes& frame, std::size_t offset, std::size_t bytes) noexcept {
  bool own = true;
  frame.for_each(offset, offset + bytes, [&own](std::span<const std::uint8_t>, Mbuf* segment) {
    own = own && MbufAccess::owns_bytes(*segment);
  });
  return own;
}

// A queue looks at the headers of the first frame of a request alone (TxOffload). So a request is left only for packets
// that cards read alike. No queue leaves tunnels to a card.
bool is_left_to_cards(const FrameBytes& frame, const TxOffload& request,
                      const std::optional<Transport>& transport) noexcept {
  if (request.outer_l2 + request.outer_l3 != 0) return true;
  const std::uint8_t protocol = transport ? transport->protocol : std::uint8_t{0};
  return has_common_headers(frame, request, protocol) && fills_frame(frame, request, protocol);
}

bool can_write_checksums(const FrameBytes& frame, const TxOffload& request) noexcept {
  if ((request.flags & TxOffload::ipv4_checksum) != 0 && !can_write(frame, request.l3_offset() + kIpv4Checksum, 2)) {
    return false;
  }
  const auto transport = transport_of(request);
  return !transport || can_write(frame, std::size_t{request.l4_offset()} + transport->checksum, transport->bytes);
}

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

bool segmentation_fits(const Mbuf& frame) noexcept {
  const TxOffload request = frame.tx_offload();
  return request.outer_l2 + request.outer_l3 == 0 && inner_fits(frame, request) &&
         is_link_header(frame.bytes(), request.l2);
}

bool has_split_headers(const Mbuf& frame) noexcept {
  const TxOffload request = frame.tx_offload();
  const std::uint32_t headers = request.l4_offset() + request.l4;
  return headers > frame.length() && headers < frame.packet_length();
}

// The length in an IPv6 header is that of what follows it.
bool has_ip_length(const Mbuf& frame) noexcept {
  const std::uint32_t ip = frame.tx_offload().l3_offset();
  const std::uint32_t beside = frame.data()[ip] >> 4 == 4 ? 0 : packet::Ipv6Header::kLength;
  return frame.packet_length() - ip - beside <= UINT16_MAX;
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

bool checksums_fit(const Mbuf& frame) noexcept { return fits(FrameBytes::to_read(frame), frame.tx_offload()); }

void complete_checksums_in(std::span<std::uint8_t> frame, const TxOffload& request) noexcept {
  complete(FrameBytes(frame), request);
}

void complete_internet_checksum(Mbuf& frame, std::uint32_t start, std::uint32_t offset) noexcept {
  const FrameBytes bytes(frame);
  complete_internet(bytes, start, offset, bytes.size(), false);
}

ChecksumCompletion complete_checksums(Mbuf& frame) noexcept {
  if (!frame.has_partial_checksum()) return ChecksumCompletion::complete;
  TxOffload request = frame.tx_offload();
  const FrameBytes bytes(frame);
  if (!fits(bytes, request)) return ChecksumCompletion::bad_request;
  if (!can_write_checksums(bytes, request)) return ChecksumCompletion::shared_data;
  complete(bytes, request);
  request.flags &= ~TxOffload::kChecksums;
  frame.set_tx_offload(request);
  return ChecksumCompletion::complete;
}

bool request_checksums(Mbuf& frame, const TxOffload& request) noexcept {
  const FrameBytes bytes(frame);
  TxOffload checked = request;
  if ((request.flags & TxOffload::tcp_segmentation) != 0) checked.flags |= TxOffload::tcp_checksum;
  if ((request.flags & TxOffload::udp_segmentation) != 0) checked.flags |= TxOffload::udp_checksum;
  if (!fits(bytes, checked) || !can_write_checksums(bytes, checked)) return false;
  const bool is_segmented = (request.flags & TxOffload::kSegmentation) != 0;
  const auto transport = transport_of(checked);
  if (transport) {
    const auto headers = packet::read_ip_headers(bytes, request.l3_offset(), request.l3);
    if (!headers || headers->is_fragment) return false;
    // The lengths of a packet to be segmented are those of its segments.
    if (!is_segmented && !has_datagram(bytes, request, *transport)) return false;
    if (transport->flag != TxOffload::sctp_checksum) {
      bytes.write16(std::size_t{request.l4_offset()} + transport->checksum,
                    pseudo_header_sum(bytes, checked, *transport, headers->addresses));
    }
  }
  frame.set_tx_offload(request);
  if (!is_segmented && !is_left_to_cards(bytes, request, transport)) {
    static_cast<void>(complete_checksums(frame));
  }
  return true;
}

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
