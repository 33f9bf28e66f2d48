// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "c/describe.hpp"
#include "c/handles.hpp"
#include "pollux/net/checksum_offload.hpp"
#include "pollux/net/rx_metadata.hpp"

using namespace pollux;
using namespace pollux::c;

namespace {

static_assert(POLLUX_FRAME_SHARED == (MbufAccess::kShared | MbufAccess::kClone) &&
              POLLUX_FRAME_SEGMENTED == MbufAccess::kMultiSegment);
static_assert(POLLUX_IPV4 == std::uint32_t{PacketType::ipv4} && POLLUX_TCP == std::uint32_t{PacketType::tcp} &&
              POLLUX_SCTP == std::uint32_t{PacketType::sctp});
static_assert(POLLUX_CHECKSUM_GOOD == static_cast<int>(ChecksumStatus::good) &&
              POLLUX_CHECKSUM_PARTIAL == static_cast<int>(ChecksumStatus::partial));
static_assert(POLLUX_OFFLOAD_IPV4_CHECKSUM == std::uint32_t{TxOffload::ipv4_checksum} &&
              POLLUX_OFFLOAD_TIMESTAMP == std::uint32_t{TxOffload::timestamp} &&
              POLLUX_OFFLOAD_WITHOUT_FCS == std::uint32_t{TxOffload::without_fcs});

TxOffload request_of(const pollux_offload& given) noexcept {
  pollux_offload offload{};
  std::memcpy(&offload, &given, std::min(given.size, sizeof offload));
  return {.flags = offload.flags,
          .vlan = offload.vlan,
          .outer_vlan = offload.outer_vlan,
          .l2 = offload.l2,
          .l3 = offload.l3,
          .outer_l2 = offload.outer_l2,
          .outer_l3 = offload.outer_l3,
          .l4 = offload.l4,
          .segment_size = offload.segment_size};
}

}  // namespace

uint32_t pollux_frame_bytes(const pollux_frame* frame) { return mbuf_of(*frame).packet_length(); }

bool pollux_frame_next(const pollux_frame* frame, pollux_frame* next) {
  Mbuf* const segment = mbuf_of(*frame).next();
  if (segment == nullptr) return false;
  describe(*next, *segment);
  return true;
}

size_t pollux_frame_copy(const pollux_frame* frame, size_t offset, void* to, size_t bytes) {
  return mbuf_of(*frame).copy_out(offset, {static_cast<std::uint8_t*>(to), bytes});
}

uint8_t* pollux_frame_append(pollux_frame* frame, uint32_t bytes) {
  std::uint8_t* const start = mbuf_of(*frame).append(bytes);
  describe(*frame, mbuf_of(*frame));
  return start;
}

uint8_t* pollux_frame_prepend(pollux_frame* frame, uint32_t bytes) {
  std::uint8_t* const start = mbuf_of(*frame).prepend(bytes);
  describe(*frame, mbuf_of(*frame));
  return start;
}

bool pollux_frame_strip(pollux_frame* frame, uint32_t bytes) {
  const bool stripped = mbuf_of(*frame).strip(bytes) != nullptr;
  describe(*frame, mbuf_of(*frame));
  return stripped;
}

bool pollux_frame_trim(pollux_frame* frame, uint32_t bytes) {
  const bool trimmed = mbuf_of(*frame).trim(bytes);
  describe(*frame, mbuf_of(*frame));
  return trimmed;
}

bool pollux_frame_chain(pollux_frame* frame, const pollux_frame* more) {
  MbufPtr joined(&mbuf_of(*more));
  const bool chained = mbuf_of(*frame).chain(joined);
  static_cast<void>(joined.release());  // of a frame that was not chained: the caller's
  describe(*frame, mbuf_of(*frame));
  return chained;
}

bool pollux_frame_clone(pollux_frame* frame, pollux_pool* pool, pollux_frame* clone) {
  MbufPtr second = mbuf_of(*frame).clone(pool->cache);
  if (second == nullptr) return false;
  describe(*frame, mbuf_of(*frame));
  describe(*clone, *second.release());
  return true;
}

void pollux_frame_metadata(const pollux_frame* frame, pollux_metadata* metadata) {
  const Mbuf& mbuf = mbuf_of(*frame);
  const RxMetadata said(mbuf);
  pollux_metadata all{};
  all.size = metadata->size;
  all.rss_hash = said.rss_hash().value_or(0);
  all.vlan = said.vlan().value_or(0);
  if (said.rss_hash()) all.flags |= POLLUX_HAS_RSS_HASH;
  if (said.vlan()) all.flags |= POLLUX_HAS_VLAN;
  if (said.vlan_is_inner()) all.flags |= POLLUX_VLAN_IS_INNER;
  if (said.is_bad_frame()) all.flags |= POLLUX_BAD_FRAME;
  if (said.is_stamped()) all.flags |= POLLUX_STAMPED;
  all.packet_type = said.packet_type().bits;
  all.port = mbuf.port();
  all.ip_checksum = static_cast<std::uint8_t>(said.ip_checksum());
  all.l4_checksum = static_cast<std::uint8_t>(said.l4_checksum());
  all.timestamp = mbuf.timestamp();
  std::memcpy(metadata, &all, std::min(metadata->size, sizeof all));
}

void pollux_frame_set_offload(pollux_frame* frame, const pollux_offload* offload) {
  mbuf_of(*frame).set_tx_offload(request_of(*offload));
  describe(*frame, mbuf_of(*frame));
}

bool pollux_frame_request_checksums(pollux_frame* frame, const pollux_offload* offload) {
  const bool requested = request_checksums(mbuf_of(*frame), request_of(*offload));
  describe(*frame, mbuf_of(*frame));
  return requested;
}
