// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <span>

#include "net/checksums.hpp"
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

constexpr std::uint32_t kSegmentation = TxOffload::tcp_segmentation | TxOffload::udp_segmentation;
constexpr std::uint32_t kTags = TxOffload::insert_vlan | TxOffload::insert_outer_vlan;
constexpr std::uint32_t kIpv6Bytes = 40;

/// Writes length, identification and header checksum. `bytes`: of the IP packet.
void write_ip(std::span<std::uint8_t> ip, std::uint32_t bytes, std::uint16_t index) noexcept {
  if (ip[0] >> 4 == 6) return store16(&ip[4], static_cast<std::uint16_t>(bytes - kIpv6Bytes));
  store16(&ip[2], static_cast<std::uint16_t>(bytes));
  store16(&ip[4], static_cast<std::uint16_t>(load16(&ip[4]) + index));
  store16(&ip[10], 0);
  store16(&ip[10], packet::internet_checksum(ip));
}

packet::InternetSum pseudo_header_of(std::span<const std::uint8_t> ip, bool is_tcp, std::uint32_t bytes) noexcept {
  packet::InternetSum sum;
  sum.add(ip[0] >> 4 == 6 ? ip.subspan(8, 32) : ip.subspan(12, 8));
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

}  // namespace

bool port_segments(const OffloadLimits& limits, const Mbuf& frame) noexcept {
  const TxOffload request = frame.tx_offload();
  if ((request.flags & kSegmentation) == 0) return true;
  return (request.flags & ~limits.tx_flags) == 0 && frame.packet_length() <= limits.max_tso &&
         frame.segments() <= limits.max_segments && request.l2 <= limits.max_l2 && request.l3 <= limits.max_l3 &&
         (request.outer_l2 + request.outer_l3 == 0 || limits.segments_tunnels);
}

bool Segmenter::start(MbufPtr& frame, const OffloadLimits& limits) noexcept {
  if (frame == nullptr || frame_ != nullptr || (frame->tx_offload().flags & kSegmentation) == 0 ||
      !segmentation_fits(*frame)) {
    return false;
  }
  const TxOffload request = frame->tx_offload();
  is_tcp_ = (request.flags & TxOffload::tcp_segmentation) != 0;
  const std::uint32_t checksum = is_tcp_ ? TxOffload::tcp_checksum : TxOffload::udp_checksum;
  partial_ = (limits.tx_flags & ~limits.tx_software_flags & checksum) != 0;
  headers_ = request.l4_offset() + request.l4;
  length_ = frame->packet_length() - headers_;
  offset_ = 0;
  index_ = 0;
  frame_ = std::move(frame);
  return true;
}

/// An mbuf with the headers and the next `payload` bytes, or several if they do not fit one. Empty: no mbufs.
MbufPtr Segmenter::copy_segment(MempoolCache& cache, std::uint32_t payload) noexcept {
  MbufPtr segment = cache.allocate();
  if (segment == nullptr) return segment;
  std::uint8_t* const headers = segment->append(headers_);
  if (headers == nullptr) return nullptr;  // an mbuf that is too small for the headers is of no use
  std::copy_n(frame_->data(), headers_, headers);
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

void Segmenter::write_headers(Mbuf& segment, std::uint32_t payload) const noexcept {
  const TxOffload request = frame_->tx_offload();
  const std::span<std::uint8_t> ip = segment.bytes().subspan(request.l3_offset(), request.l3);
  std::uint8_t* const l4 = segment.data() + request.l4_offset();
  const std::uint32_t l4_bytes = request.l4 + payload;
  write_ip(ip, request.l3 + l4_bytes, index_);
  if (is_tcp_) {
    constexpr unsigned kLast = TcpHeader::fin | TcpHeader::psh;
    store32(l4 + 4, load32(l4 + 4) + offset_);
    if (offset_ + payload != length_) l4[13] = static_cast<std::uint8_t>(l4[13] & ~kLast);
    if (offset_ != 0) l4[13] = static_cast<std::uint8_t>(l4[13] & ~unsigned{TcpHeader::cwr});
  } else {
    store16(l4 + 4, static_cast<std::uint16_t>(l4_bytes));
  }
  packet::InternetSum sum = pseudo_header_of(ip, is_tcp_, l4_bytes);
  std::uint8_t* const field = l4 + (is_tcp_ ? TcpHeader::kChecksumAt : UdpHeader::kChecksumAt);
  TxOffload rest{.flags = request.flags & kTags, .vlan = request.vlan, .outer_vlan = request.outer_vlan};
  if (partial_) {
    store16(field, sum.folded());
    rest.flags |= is_tcp_ ? TxOffload::tcp_checksum : TxOffload::udp_checksum;
    rest.l2 = request.l2;
    rest.l3 = request.l3;
  } else {
    store16(field, 0);
    add_frame(sum, segment, request.l4_offset());
    store16(field, is_tcp_ ? sum.checksum() : packet::udp_checksum(sum.checksum()));
  }
  segment.set_tx_offload(rest);
  segment.set_user(frame_->user());
}

MbufPtr Segmenter::make_segment(MempoolCache& cache) noexcept {
  const std::uint32_t payload = std::min<std::uint32_t>(frame_->tx_offload().segment_size, length_ - offset_);
  MbufPtr segment = copy_segment(cache, payload);
  if (segment == nullptr) return segment;
  write_headers(*segment, payload);
  offset_ += payload;
  ++index_;
  if (offset_ == length_) cache.free(std::move(frame_));
  return segment;
}

}  // namespace pollux
