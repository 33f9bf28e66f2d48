// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "net/checksums.hpp"
#include "net/common_headers.hpp"
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/ethernet.hpp"
#include "pollux/runtime/gso.hpp"

namespace pollux {
namespace {

constexpr std::uint32_t kSegmentation = TxOffload::tcp_segmentation | TxOffload::udp_segmentation;
constexpr std::uint32_t kTags = TxOffload::insert_vlan | TxOffload::insert_outer_vlan;
constexpr std::uint32_t kMacBytes = 12;  // bytes before the tags
constexpr std::uint16_t kTag = 4;

/// Whether nothing is asked for that the segments would lack. A stamp is the port's.
bool keeps_request(const TxOffload& request, std::uint32_t port_flags) noexcept {
  const bool is_tcp = (request.flags & TxOffload::tcp_segmentation) != 0;
  const std::uint32_t own = kSegmentation | kTags | TxOffload::ipv4_checksum |
                            std::uint32_t{is_tcp ? TxOffload::tcp_checksum : TxOffload::udp_checksum};
  return (request.flags & ~(own | (port_flags & TxOffload::timestamp))) == 0;
}

/// The tags of the request that are not left to the port.
std::uint32_t software_tags(const TxOffload& request, std::uint32_t port_flags) noexcept {
  std::uint32_t tags = request.flags & kTags & ~port_flags;
  // A port would insert the inner tag before an outer one that is in the frame.
  if ((tags & TxOffload::insert_outer_vlan) != 0) tags |= request.flags & TxOffload::insert_vlan;
  return tags;
}

/// The request for frames that have these tags, for which `request` asks.
TxOffload with_tags(TxOffload request, std::uint32_t tags) noexcept {
  request.flags &= ~tags;
  std::uint16_t& ethernet = request.outer_l2 != 0 ? request.outer_l2 : request.l2;
  for (const std::uint32_t tag : {TxOffload::insert_vlan, TxOffload::insert_outer_vlan}) {
    if ((tags & tag) != 0) ethernet = static_cast<std::uint16_t>(ethernet + kTag);
  }
  return request;
}

/// Copies headers, and inserts those tags of `request` that `rest` does not ask for any more.
void copy_headers(const std::uint8_t* from, std::uint32_t bytes, const TxOffload& request, const TxOffload& rest,
                  std::uint8_t* to) noexcept {
  to = std::copy_n(from, kMacBytes, to);
  const auto insert = [&](std::uint32_t flag, std::uint16_t type, std::uint16_t tag) {
    if (((request.flags & ~rest.flags) & flag) == 0) return;
    packet::store16(to, type);
    packet::store16(to + 2, tag);
    to += kTag;
  };
  insert(TxOffload::insert_outer_vlan, packet::ether_type::kService, request.outer_vlan);
  insert(TxOffload::insert_vlan, packet::ether_type::kVlan, request.vlan);
  std::copy_n(from + kMacBytes, bytes - kMacBytes, to);
}

}  // namespace

bool Segmenter::start(MbufPtr& frame, const OffloadLimits& limits) noexcept {
  if (frame == nullptr || frame_ != nullptr) return false;
  const TxOffload request = frame->tx_offload();
  const bool in_tunnel = request.outer_l2 + request.outer_l3 != 0;
  if ((request.flags & kSegmentation) == 0 || request.l3_offset() < kMacBytes + 2 ||
      !keeps_request(request, limits.tx_flags) ||
      !(in_tunnel ? tunnel_segmentation_fits(*frame) : segmentation_fits(*frame))) {
    return false;
  }
  const std::uint32_t payload = frame->packet_length() - request.l4_offset() - request.l4;
  // The length of an IP packet has 16 bits.
  const std::uint32_t segment = request.l3 + request.l4 + std::min<std::uint32_t>(request.segment_size, payload);
  if (segment + (in_tunnel ? std::uint32_t{request.l2} + request.outer_l3 : 0U) > UINT16_MAX) return false;
  const std::uint32_t checksum =
      (request.flags & TxOffload::tcp_segmentation) != 0 ? TxOffload::tcp_checksum : TxOffload::udp_checksum;
  request_ = with_tags(request, software_tags(request, limits.tx_flags));
  // The checksum of a tunnel's UDP header covers the inner one.
  partial_ = !in_tunnel && (limits.tx_flags & ~limits.tx_software_flags & checksum) != 0 &&
             request_.l2 <= limits.max_l2 && request_.l3 <= limits.max_l3 &&
             has_common_headers(FrameBytes::to_read(*frame), request, 0);
  headers_ = request.l4_offset() + request.l4;
  length_ = payload;
  offset_ = 0;
  index_ = 0;
  frame_ = std::move(frame);
  return true;
}

/// An mbuf with the headers and the next `payload` bytes, or several if they do not fit one. Empty: no mbufs.
MbufPtr Segmenter::copy_segment(MempoolCache& cache, std::uint32_t payload) noexcept {
  MbufPtr segment = cache.allocate();
  if (segment == nullptr) return segment;
  std::uint8_t* const headers = segment->append(request_.l4_offset() + request_.l4);
  if (headers == nullptr) return nullptr;  // an mbuf that is too small for the headers is of no use
  copy_headers(frame_->data(), headers_, frame_->tx_offload(), request_, headers);
  std::uint32_t from = headers_ + offset_;
  for (Mbuf* last = segment.get(); payload != 0;) {
    if (last->tailroom() == 0) {
      MbufPtr more = cache.allocate();
      if (more == nullptr) return nullptr;
      last = more.get();
      if (!segment->chain(more)) return nullptr;
    }
    const std::uint32_t bytes = std::min(payload, last->tailroom());
    std::uint8_t* const to = segment->append(bytes);
    static_cast<void>(frame_->copy_out(from, {to, bytes}));
    from += bytes;
    payload -= bytes;
  }
  return segment;
}

MbufPtr Segmenter::make_segment(MempoolCache& cache) noexcept {
  const std::uint32_t payload = std::min<std::uint32_t>(request_.segment_size, length_ - offset_);
  MbufPtr segment = copy_segment(cache, payload);
  if (segment == nullptr) return segment;
  write_headers(*segment, payload);
  offset_ += payload;
  ++index_;
  if (offset_ == length_) cache.free(std::move(frame_));
  return segment;
}

}  // namespace pollux
