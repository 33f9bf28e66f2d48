// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/runtime/gso.hpp"

#include <algorithm>
#include <span>

#include "net/checksums.hpp"
#include "net/packet/ip_headers.hpp"
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/ethernet.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/sums.hpp"
#include "pollux/net/packet/transport.hpp"

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
         frame.segments() <= limits.max_segments && request.l3_offset() <= limits.max_l2 &&
         request.l3 <= limits.max_l3 && request.l4_offset() + request.l4 <= limits.max_tso_headers;
}

/// Whether the port may have to write into bytes that others use, to insert a tag where one is, or to stamp more frames
/// than one.
bool asks_too_much(const Mbuf& frame, const TxOffload& request) noexcept {
  constexpr std::uint32_t kTags = TxOffload::insert_vlan | TxOffload::insert_outer_vlan;
  const std::uint32_t ethernet = request.outer_l2 != 0 ? request.outer_l2 : request.l2;
  return !is_own(const_cast<Mbuf&>(frame)) || (request.flags & TxOffload::timestamp) != 0 ||
         ((request.flags & kTags) != 0 && ethernet != packet::EthernetHeader::kLength);
}

constexpr std::uint32_t kTags = TxOffload::insert_vlan | TxOffload::insert_outer_vlan;
constexpr std::uint32_t kMacBytes = 12;  // bytes before the tags
constexpr std::uint16_t kTag = 4;

/// Whether nothing is asked for that the segments would lack. A stamp is the port's.
bool keeps_request(const TxOffload& request, std::uint32_t port_flags) noexcept {
  const bool is_tcp = (request.flags & TxOffload::tcp_segmentation) != 0;
  const std::uint32_t own = TxOffload::kSegmentation | kTags | TxOffload::ipv4_checksum |
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

// Which requests for segmentation a port fulfils.

bool port_segments(const OffloadLimits& limits, const Mbuf& frame) noexcept {
  const TxOffload request = frame.tx_offload();
  if ((request.flags & TxOffload::kSegmentation) == 0) return true;
  if (!is_within(limits, frame, request) || asks_too_much(frame, request)) return false;
  if (request.outer_l2 + request.outer_l3 != 0) return limits.segments_tunnels && suits_tunnel_offload(frame, request);
  if (!segmentation_fits(frame) || !has_ip_length(frame)) return false;
  const bool is_udp = (request.flags & TxOffload::udp_segmentation) != 0;
  if (segments_of(frame) > (is_udp ? limits.max_datagrams : limits.max_tcp_segments)) return false;
  return has_common_headers(FrameBytes::to_read(frame), request,
                            is_udp ? packet::ip_protocol::kUdp : packet::ip_protocol::kTcp);
}

bool Segmenter::start(MbufPtr& frame, const OffloadLimits& limits) noexcept {
  if (frame == nullptr || frame_ != nullptr) return false;
  const TxOffload request = frame->tx_offload();
  const bool in_tunnel = request.outer_l2 + request.outer_l3 != 0;
  if ((request.flags & TxOffload::kSegmentation) == 0 || request.l3_offset() < kMacBytes + 2 ||
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

// What differs between the headers of a frame that requests segmentation and those of its segments.

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

SegmentingTx::SegmentingTx(TxQueue& queue, const OffloadLimits& limits, MempoolCache& cache)
    : queue_(queue), limits_(limits), cache_(cache) {}

SegmentingTx::~SegmentingTx() {
  if (segmenter_.is_complete()) return;
  Mbuf* const frame = segmenter_.abandon().release();
  drop_unnamed({&frame, 1});
}

void SegmentingTx::drop(MbufPtr frame, DropCounter& reason) noexcept {
  Mbuf* const dropped = frame.get();
  reason.add({&dropped, 1});
  cache_.free(std::move(frame));
}

/// Whether all that was ready is in the queue.
bool SegmentingTx::send_ready() noexcept {
  while (!ready_.empty() || !segmenter_.is_complete()) {
    if (segmenter_.next(cache_, ready_) == Segmenter::Outcome::no_memory && ready_.empty()) {
      // Mbufs that the queue has sent may be what is missing.
      queue_.tx_done_cleanup();
      if (segmenter_.next(cache_, ready_) == Segmenter::Outcome::no_memory && ready_.empty()) {
        drop(segmenter_.abandon(), no_memory_);
        continue;
      }
    }
    queue_.tx_burst(ready_);
    if (!ready_.empty()) return false;
  }
  return true;
}

/// Makes a frame ready for the queue. The segmenter is complete, and there is room.
void SegmentingTx::take(MbufPtr& frame) noexcept {
  if (port_segments(limits_, *frame)) {
    static_cast<void>(ready_.push(frame));
  } else if (!segmenter_.start(frame, limits_)) {
    drop(std::move(frame), bad_request_);
  }
}

std::uint32_t SegmentingTx::send_frames(std::uint32_t count) noexcept {
  std::uint32_t taken = 0;
  if (!send_ready()) return taken;
  while (taken < count) {
    // Frames that pass as they are go to the queue in one burst.
    while (taken < count && segmenter_.is_complete() && port_segments(limits_, *frames_[taken])) take(frames_[taken++]);
    if (!ready_.empty() || taken == count) {
      queue_.tx_burst(ready_);
      if (ready_.empty()) continue;
      // What the queue does not take goes back to the caller.
      for (std::uint32_t left = ready_.size(); left-- > 0;) frames_[--taken] = ready_.pop();
      return taken;
    }
    take(frames_[taken++]);
    if (!send_ready()) return taken;
  }
  return taken;
}

}  // namespace pollux
