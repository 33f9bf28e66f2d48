// SPDX-License-Identifier: BSD-3-Clause
// Which requests for segmentation a port fulfils.
#include "net/checksums.hpp"
#include "net/common_headers.hpp"
#include "pollux/net/packet/ethernet.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/runtime/gso.hpp"

namespace pollux {
namespace {

/// A card that segments tunnels makes equal segments, and leaves the inner IPv4 identification as it is
/// (OffloadLimits::segments_tunnels). That is right if it has no meaning, which the flag DF says (RFC 6864, 4.1).
bool suits_tunnel_offload(const Mbuf& frame, const TxOffload& request) noexcept {
  const std::uint32_t headers = request.l4_offset() + request.l4;
  const FrameBytes bytes = FrameBytes::to_read(frame);
  if (request.segment_size == 0 || headers > frame.length() || !has_common_tunnel(bytes, request)) return false;
  const std::uint32_t ip = request.l3_offset();
  const bool may_stay = bytes.read8(ip) >> 4 == 6 || (bytes.read16(ip + 6U) & 0x4000) != 0;
  return may_stay && (frame.packet_length() - headers) % request.segment_size == 0;
}

bool is_within(const OffloadLimits& limits, const Mbuf& frame, const TxOffload& request) noexcept {
  return (request.flags & ~limits.tx_flags) == 0 && frame.packet_length() <= limits.max_tso &&
         frame.segments() <= limits.max_segments && request.l3_offset() <= limits.max_l2 && request.l3 <= limits.max_l3;
}

/// Whether the port may have to write into bytes that others use, to insert a tag where one is, or to stamp more frames
/// than one.
bool asks_too_much(const Mbuf& frame, const TxOffload& request) noexcept {
  constexpr std::uint32_t kTags = TxOffload::insert_vlan | TxOffload::insert_outer_vlan;
  const std::uint32_t ethernet = request.outer_l2 != 0 ? request.outer_l2 : request.l2;
  return !is_own(const_cast<Mbuf&>(frame)) || (request.flags & TxOffload::timestamp) != 0 ||
         ((request.flags & kTags) != 0 && ethernet != packet::EthernetHeader::kLength);
}

}  // namespace

bool port_segments(const OffloadLimits& limits, const Mbuf& frame) noexcept {
  const TxOffload request = frame.tx_offload();
  if ((request.flags & (TxOffload::tcp_segmentation | TxOffload::udp_segmentation)) == 0) return true;
  if (!is_within(limits, frame, request) || asks_too_much(frame, request)) return false;
  if (request.outer_l2 + request.outer_l3 != 0) return limits.segments_tunnels && suits_tunnel_offload(frame, request);
  if (!segmentation_fits(frame)) return false;
  const bool is_udp = (request.flags & TxOffload::udp_segmentation) != 0;
  if (is_udp && segments_of(frame) > limits.max_datagrams) return false;
  return has_common_headers(FrameBytes::to_read(frame), request,
                            is_udp ? packet::ip_protocol::kUdp : packet::ip_protocol::kTcp);
}

}  // namespace pollux
