// SPDX-License-Identifier: BSD-3-Clause
// Segmentation of TCP packets in a tunnel, as Linux does it with GSO_PARTIAL (igb_main.c, igb_tso;
// Documentation/networking/segmentation-offloads.rst). The card takes everything from the outer IP header to the inner
// TCP header as one IP header: it counts up its identification and writes its length and checksum. What lies between
// stays as it is, so it is prepared for one segment, and all segments must have the same length.
#include <span>

#include "drivers/intel/queue/tx_request.hpp"
#include "hw/intel/descriptors.hpp"
#include "net/checksums.hpp"
#include "pollux/net/packet/sums.hpp"

namespace pollux::drivers::intel {

namespace tx = hw::intel::tx;

namespace {

using packet::InternetSum;
using TunnelBytes = std::span<const std::uint8_t>;

constexpr std::uint8_t kUdp = 17;  // IANA's protocol number

constexpr std::uint32_t kEthernetBytes = 14;
constexpr std::uint32_t kTcpBytes = 20;

std::uint32_t load16(TunnelBytes bytes, std::size_t at) noexcept {
  return std::uint32_t{bytes[at]} << 8 | bytes[at + 1];
}

void store16(std::span<std::uint8_t> bytes, std::size_t at, std::uint32_t value) noexcept {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

InternetSum addresses(TunnelBytes ip, bool is_ipv4) noexcept {
  InternetSum sum;
  sum.add(is_ipv4 ? ip.subspan(12, 8) : ip.subspan(8, 32));
  return sum;
}

// The checksum of each segment's outer UDP header. The bytes from the TCP header on add up to the inverse of the inner
// pseudo-header's sum, whatever they are (Linux, Documentation/networking/checksum-offloads.rst, "LCO").
std::uint16_t outer_udp_checksum(TunnelBytes frame, const TxOffload& request, bool outer_ipv4,
                                 std::uint32_t udp_bytes) noexcept {
  const std::uint32_t udp = std::uint32_t{request.outer_l2} + request.outer_l3;
  InternetSum inner;
  inner.add(load16(frame, request.l4_offset() + 16));  // the sum of the inner pseudo-header without the length
  inner.add(std::uint32_t{request.l4} + request.segment_size);
  InternetSum sum = addresses(frame.subspan(request.outer_l2), outer_ipv4);
  sum.add(kUdp);
  sum.add(udp_bytes);
  sum.add(frame.subspan(udp, request.l4_offset() - udp));
  sum.add(static_cast<std::uint16_t>(~inner.folded()));
  return packet::udp_checksum(sum.checksum());
}

void prepare_inner_ip(std::span<std::uint8_t> ip, const TxOffload& request) noexcept {
  const std::uint32_t transport = std::uint32_t{request.l4} + request.segment_size;
  if (ip[0] >> 4 == 6) return store16(ip, 4, transport);
  store16(ip, 2, request.l3 + transport);
  store16(ip, 10, 0);
  store16(ip, 10, packet::internet_checksum(ip.first(request.l3)));
}

}  // namespace

bool is_tunnel_packet(const Mbuf& frame, const TxOffload& request, std::uint32_t max_frame,
                      TunnelSegments& segments) noexcept {
  const TunnelBytes bytes = frame.bytes();
  segments.headers = request.l4_offset() + request.l4;
  if (request.outer_l2 < kEthernetBytes || request.outer_l2 > tx::kMacLengthMask || request.l4 < kTcpBytes ||
      segments.headers > bytes.size() || segments.headers >= frame.packet_length() ||
      std::uint32_t{request.outer_l3} + request.l2 + request.l3 > tx::kIpLengthMask ||
      !has_common_tunnel(FrameBytes::to_read(frame), request)) {
    return false;
  }
  segments.outer_ipv4 = bytes[request.outer_l2] >> 4 == 4;
  segments.payload = frame.packet_length() - segments.headers;
  return bytes[request.l4_offset() + 12] >> 4 << 2 == request.l4 && request.segment_size != 0 &&
         segments.payload % request.segment_size == 0 && segments.headers + request.segment_size <= max_frame;
}

void prepare_tunnel_headers(Mbuf& frame, const TxOffload& request, const TunnelSegments& segments) noexcept {
  const std::span<std::uint8_t> bytes(frame.data(), frame.length());
  prepare_inner_ip(bytes.subspan(request.l3_offset()), request);
  const std::span<std::uint8_t> outer = bytes.subspan(request.outer_l2);
  const std::uint8_t protocol = segments.outer_ipv4 ? outer[9] : outer[6];
  const std::span<std::uint8_t> tunnel = outer.subspan(request.outer_l3);
  if (protocol == kUdp) {
    const std::uint32_t udp_bytes = std::uint32_t{request.l2} + request.l3 + request.l4 + request.segment_size;
    store16(tunnel, 4, udp_bytes);
    if (load16(tunnel, 6) != 0) {  // 0: the tunnel has no checksums (RFC 768, RFC 6935)
      store16(tunnel, 6, 0);
      store16(tunnel, 6, outer_udp_checksum(bytes, request, segments.outer_ipv4, udp_bytes));
    }
  }
  if (!segments.outer_ipv4) return store16(outer, 4, 0);  // [I-TSOLENGTH]
  store16(outer, 2, 0);
  // The card adds up all that it takes for the IP header. This cancels what is not.
  const std::size_t behind = request.l4_offset() - request.outer_l2 - request.outer_l3;
  store16(outer, 10, packet::internet_checksum(tunnel.first(behind)));
}

}  // namespace pollux::drivers::intel
