// SPDX-License-Identifier: BSD-3-Clause
// Which requests for segmentation a port fulfils.
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/runtime/gso.hpp"

namespace pollux {
namespace {

constexpr std::uint32_t kIpv4WithoutOptions = 20;
constexpr std::uint32_t kIpv6WithoutExtensions = 40;

/// A card that segments tunnels makes equal segments, knows no extension headers, and leaves the inner IPv4
/// identification as it is (OffloadLimits::segments_tunnels). That is right if it has no meaning, which the flag DF
/// says (RFC 6864, 4.1). The port itself refuses a request that does not fit the frame.
bool suits_tunnel_offload(const Mbuf& frame, const TxOffload& request) noexcept {
  const std::uint32_t headers = request.l4_offset() + request.l4;
  if (request.segment_size == 0 || request.l3 < kIpv4WithoutOptions || headers > frame.length()) return true;
  const auto suits = [&frame](std::uint32_t at, std::uint32_t length, bool counts) {
    const std::uint8_t* const ip = frame.data() + at;
    if (ip[0] >> 4 == 6) return length == kIpv6WithoutExtensions;
    return !counts || (packet::load16(ip + 6) & 0x4000) != 0;
  };
  return (frame.packet_length() - headers) % request.segment_size == 0 &&
         suits(request.outer_l2, request.outer_l3, false) && suits(request.l3_offset(), request.l3, true);
}

}  // namespace

bool port_segments(const OffloadLimits& limits, const Mbuf& frame) noexcept {
  const TxOffload request = frame.tx_offload();
  if ((request.flags & (TxOffload::tcp_segmentation | TxOffload::udp_segmentation)) == 0) return true;
  if ((request.flags & ~limits.tx_flags) != 0 || frame.packet_length() > limits.max_tso ||
      frame.segments() > limits.max_segments || request.l3_offset() > limits.max_l2 || request.l3 > limits.max_l3) {
    return false;
  }
  if (request.outer_l2 + request.outer_l3 == 0) return true;
  return limits.segments_tunnels && suits_tunnel_offload(frame, request);
}

}  // namespace pollux
