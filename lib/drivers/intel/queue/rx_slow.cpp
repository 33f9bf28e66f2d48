// SPDX-License-Identifier: BSD-3-Clause
#include "base/compiler.hpp"
#include "drivers/intel/queue/rx_burst.hpp"
#include "pollux/base/io.hpp"

namespace pollux::drivers::intel {

namespace rx = hw::intel::rx;

namespace {

// The allocation site that checked builds report for the buffers of a frame that is being received.
constexpr Site kRing{"igb receive ring", 0};
constexpr std::uint64_t kNotDone = 0;
/// Polls that may find a descriptor done with length 0 before it counts as a bad write-back. An emulated card on
/// another core writes back with several stores, so a slot armed a moment ago can look done. Silicon writes back with
/// one.
constexpr std::uint32_t kMaxEmptyWritebackPolls = 1000;

/// Where the headers of a frame are: in the frame, or in a buffer of their own.
enum class RxHeaders : std::uint8_t { in_frame, split };

/// The result of one descriptor.
enum class RxOutcome : std::uint8_t { not_done, consumed, frame };

// Both addresses are even: the lowest bit of the header's is the descriptor's done bit.
hw::intel::Descriptor armed_for_split(const RxRing& ring, std::uint32_t slot) noexcept {
  constexpr std::uint64_t kOffsetMask = 0xFFFF;
  const std::uint64_t header_offset = ring.header_word >> MbufAccess::kOffsetShift & kOffsetMask;
  return rx::armed(MbufAccess::iova(*ring.slots[slot]) + ring.fast_path.data_offset(),
                   MbufAccess::iova(*ring.headers[slot]) + header_offset);
}

void arm(RxRing& ring, std::uint32_t slot) noexcept {
  ring.descriptors[slot] = rx::armed(MbufAccess::iova(*ring.slots[slot]) + ring.fast_path.data_offset());
}

}  // namespace

void arm_again(RxRing& ring, std::uint32_t slot) noexcept {
  if (!ring.splits_frames()) return arm(ring, slot);
  ring.descriptors[slot] = armed_for_split(ring, slot);
}

namespace {

// Puts a fresh buffer into `slot` and arms the slot. Returns false if the pool is exhausted.
template <RxHeaders Where>
POLLUX_ALWAYS_INLINE bool replace(RxRing& ring, std::uint32_t slot) noexcept {
  MempoolCacheCore& cache = *ring.cache_;
  if (!cache.has_one()) return false;
  ring.slots[slot] = &cache.pop();
  if constexpr (Where == RxHeaders::in_frame) {
    arm(ring, slot);
  } else {
    arm_again(ring, slot);
  }
  return true;
}

// [I-HDRSPLIT] The bytes in the header buffer, as the first descriptor of a frame reports them; 0 if the frame was not
// split. Of a header longer than `limit`, its buffer, the card reports the length alone and an overflow with the end of
// the frame. Without the overflow it lies.
POLLUX_ALWAYS_INLINE std::uint32_t header_length(std::uint64_t low, std::uint64_t status,
                                                 std::uint32_t limit) noexcept {
  if ((low & rx::kSplitHeader) == 0 || (status & rx::kHeaderOverflow) != 0) return 0;
  const std::uint32_t length = rx::header_length(low);
  return length > limit && (status & rx::kEndOfPacket) == 0 ? 0 : length;
}

// [I-ZEROLEN] Whether a slot that is done has the last store of an earlier write-back and no frame. If there are
// buffers for headers, what the store does not touch is what the slot was armed with. A split frame of headers alone
// has length 0.
template <RxHeaders Where>
POLLUX_ALWAYS_INLINE bool is_empty(const RxRing& ring, std::uint32_t slot, std::uint64_t status) noexcept {
  if constexpr (Where != RxHeaders::in_frame) {
    const std::uint64_t low = __atomic_load_n(&ring.descriptors[slot].lo, __ATOMIC_RELAXED);
    const hw::intel::Descriptor armed = armed_for_split(ring, slot);
    if (low == armed.lo && status >> rx::kLengthShift == armed.hi >> rx::kLengthShift) return true;
    if (header_length(low, status, ring.splitting.header_bytes) != 0) return false;
  }
  return rx::length(status) == 0;
}

// Whether the lengths of a write-back cannot be true. `header`: from `header_length`, 0 in later descriptors.
template <RxHeaders Where>
POLLUX_ALWAYS_INLINE bool lies(const RxRing& ring, std::uint32_t slot, std::uint64_t low, std::uint64_t status,
                               std::uint32_t header) noexcept {
  const std::uint32_t length = rx::length(status);
  if constexpr (Where != RxHeaders::in_frame) {
    const hw::intel::Descriptor armed = armed_for_split(ring, slot);
    if (low == armed.lo && status >> rx::kLengthShift == armed.hi >> rx::kLengthShift) return true;
    if (header > ring.splitting.header_bytes) return true;
    // Only a frame that ends with its header has no payload.
    if (header != 0 && length == 0) return (status & rx::kEndOfPacket) == 0;
  }
  return length == 0 || length > ring.max_length;
}

// Drops the frame, with the segments received so far, and counts it in `counter`. Arms the slot again with the same
// buffer.
POLLUX_COLD RxOutcome reject(RxRing& ring, std::uint64_t& counter, std::uint64_t status) noexcept {
  add_to(counter, std::uint64_t{1});
  if (ring.chain_head != nullptr) ring.cache_->free(*ring.chain_head);
  ring.chain_head = nullptr;
  arm_again(ring, ring.next);
  // The rest of the frame is discarded without being counted again.
  const bool more = (status & rx::kEndOfPacket) == 0;
  publish(ring.chain, more ? RxRing::Chain::discarding : RxRing::Chain::none);
  ring.fast_path.expected = more ? RxRing::kNeverExpected : RxRing::kFastPathExpected;
  return RxOutcome::consumed;
}

// Appends a received buffer to the frame so far. The last segment completes the frame.
POLLUX_ALWAYS_INLINE RxOutcome extend_chain(RxRing& ring, Mbuf& segment, std::uint64_t low, std::uint64_t status,
                                            Mbuf*& out) noexcept {
  const bool last = (status & rx::kEndOfPacket) != 0;
  if (ring.chain_head == nullptr) {
    if (last) {
      out = &segment;
      return RxOutcome::frame;
    }
    ring.chain_head = &segment;
    MbufAccess::packet_length(segment) = 0;
    MbufAccess::segment_count(segment) = 0;
  } else {
    MbufAccess::next(*ring.chain_tail) = &segment;
  }
  MbufAccess::special(segment) = MbufAccess::kMultiSegment;
  MbufAccess::next(segment) = nullptr;
  ring.chain_tail = &segment;
  Mbuf& head = *ring.chain_head;
  ++MbufAccess::segment_count(head);
  MbufAccess::packet_length(head) += segment.length();
  publish(ring.chain, last ? RxRing::Chain::none : RxRing::Chain::growing);
  ring.fast_path.expected = last ? RxRing::kFastPathExpected : RxRing::kNeverExpected;
  if (!last) return RxOutcome::consumed;
  // Status and errors of a frame are in its last descriptor.
  MbufAccess::rx_low(head) = low;
  MbufAccess::rx_high(head) = status;
  out = &head;
  ring.chain_head = nullptr;
  return RxOutcome::frame;
}

// Whether RDH is at `slot`: the card has not written it yet. Reads a register, so it is called only after
// kMaxEmptyWritebackPolls polls.
bool head_is_at(const RxRing& ring, std::uint32_t slot) noexcept {
  return ring.registers && ring.registers.read32(ring.head_offset) == slot;
}

// The status of a slot that is done with length 0. It counts as not done while the card may still write the slot. If
// RDH is still at the slot, the last store of an earlier write-back landed there after the slot was armed. The card's
// next write-back will replace it. To move on would put the queue ahead of the card, and to arm the slot again could
// overwrite the coming write-back.
POLLUX_COLD std::uint64_t recheck_empty_write_back(RxRing& ring, std::uint32_t slot) noexcept {
  // A frame taken since the last such poll starts the count again.
  if (ring.packets_ != ring.packets_at_empty) ring.empty_write_backs = 0;
  ring.packets_at_empty = ring.packets_;
  if (++ring.empty_write_backs < kMaxEmptyWritebackPolls) return kNotDone;
  ring.empty_write_backs = 0;
  if (head_is_at(ring, slot)) return kNotDone;
  // The card may have written the slot since it was read. Read it again: the write-back is visible once RDH has moved.
  return io::load_acquire(ring.descriptors[slot].hi);
}

// Takes a frame whose header is in a buffer of its own, or its first part. A frame of headers alone leaves the other
// buffer in its slot.
POLLUX_ALWAYS_INLINE RxOutcome take_split(RxRing& ring, std::uint64_t low, std::uint64_t status, std::uint32_t header,
                                          Mbuf*& out) noexcept {
  const std::uint32_t slot = ring.next;
  const std::uint32_t length = rx::length(status);
  MempoolCacheCore& headers = *ring.splitting.cache;
  if (!headers.has_one() || (length != 0 && !ring.cache_->has_one())) {
    return reject(ring, ring.drops_.pool_empty, status);
  }
  Mbuf& head = *ring.headers[slot];
  Mbuf& payload = *ring.slots[slot];
  ring.headers[slot] = &headers.pop();
  if (length != 0) ring.slots[slot] = &ring.cache_->pop();
  arm_again(ring, slot);
  MbufAccess::rx_low(head) = low;
  MbufAccess::rx_high(head) = status;
  MbufAccess::set_word(head, ring.header_word + header);
  MbufAccess::stamp(head, kRing);
  if (length == 0) return extend_chain(ring, head, low, status, out);
  MbufAccess::rx_low(payload) = low;
  MbufAccess::rx_high(payload) = status;
  MbufAccess::set_word(payload, ring.fast_path.one_byte_word + (length - 1));
  MbufAccess::stamp(payload, kRing);
  static_cast<void>(extend_chain(ring, head, low, status & ~rx::kEndOfPacket, out));
  return extend_chain(ring, payload, low, status, out);
}

template <RxHeaders Where>
POLLUX_ALWAYS_INLINE RxOutcome take_slow(RxRing& ring, Mbuf*& out) noexcept {
  const std::uint32_t slot = ring.next;
  std::uint64_t status = io::load_acquire(ring.descriptors[slot].hi);
  if (rx::done(status) && is_empty<Where>(ring, slot, status)) [[unlikely]]
    status = recheck_empty_write_back(ring, slot);
  if (!rx::done(status)) return RxOutcome::not_done;
  const std::uint64_t low = __atomic_load_n(&ring.descriptors[slot].lo, __ATOMIC_RELAXED);
  const std::uint32_t length = rx::length(status);
  ring.empty_write_backs = 0;
  // Each frame with an error is counted once while such frames are kept, whatever becomes of it.
  const auto count_if_bad = [&ring, status] {
    constexpr std::uint64_t kBadEnd = rx::kDataError | rx::kEndOfPacket;
    if (ring.keeps_bad_frames && (status & kBadEnd) == kBadEnd) add_to(ring.bad_frame_count, std::uint64_t{1});
  };

  if (ring.chain == RxRing::Chain::discarding) {
    std::uint64_t already_counted = 0;
    count_if_bad();
    return reject(ring, already_counted, status);
  }
  const std::uint32_t header = Where != RxHeaders::in_frame && ring.chain_head == nullptr
                                   ? header_length(low, status, ring.splitting.header_bytes)
                                   : 0;
  if (lies<Where>(ring, slot, low, status, header)) [[unlikely]] {
    count_if_bad();
    return reject(ring, ring.drops_.bad_length, status);
  }
  if ((status & rx::kDataError) != 0) [[unlikely]] {
    if (!ring.keeps_bad_frames) return reject(ring, ring.drops_.error, status);
    count_if_bad();
  }
  if (ring.chain_head != nullptr && MbufAccess::segment_count(*ring.chain_head) == RxRing::kMaxSegments) {
    return reject(ring, ring.drops_.too_many_segments, status);
  }
  if (header != 0) return take_split(ring, low, status, header, out);
  Mbuf& segment = *ring.slots[slot];
  if (!replace<Where>(ring, slot)) return reject(ring, ring.drops_.pool_empty, status);
  MbufAccess::rx_low(segment) = low;
  MbufAccess::rx_high(segment) = status;
  MbufAccess::set_word(segment, ring.fast_path.one_byte_word + (length - 1));
  MbufAccess::stamp(segment, kRing);
  return extend_chain(ring, segment, low, status, out);
}

void mark_bad_length(RxRing& ring, Mbuf& frame) noexcept {
  std::uint64_t& status = MbufAccess::rx_high(frame);
  if ((status & rx::kDataError) != 0 || !ring.is_bad_length(frame.packet_length(), status)) return;
  status |= rx::kDataError;
  add_to(ring.bad_frame_count, std::uint64_t{1});
}

// Whether the program gets the frame. A long one is dropped here where the card has no limit that could be set.
bool keep_by_length(RxRing& ring, Mbuf& frame) noexcept {
  if (ring.keeps_bad_frames) mark_bad_length(ring, frame);
  if (!ring.drops_long_frames || !ring.is_too_long(frame.packet_length(), MbufAccess::rx_high(frame))) return true;
  add_to(ring.drops_.bad_length, std::uint64_t{1});
  ring.cache_->free(frame);
  return false;
}

template <RxHeaders Where>
POLLUX_ALWAYS_INLINE std::uint32_t take_all(RxRing& ring, Mbuf** out, std::uint32_t limit) noexcept {
  std::uint32_t taken = 0;
  // At most one lap of the ring: a card that delivers without end must not keep the caller here.
  for (std::uint32_t slots = 0; slots <= ring.mask && taken < limit; ++slots) {
    const RxOutcome outcome = take_slow<Where>(ring, out[taken]);
    if (outcome == RxOutcome::not_done) {
      if (taken == 0) ring.tail.flush();
      break;
    }
    if (outcome == RxOutcome::frame && (!ring.checks_length || keep_by_length(ring, *out[taken]))) ++taken;
    if (ring.tail.is_remote()) {
      advance<true>(ring, ring.next, 1);
    } else {
      advance<false>(ring, ring.next, 1);
    }
  }
  count_packets(ring, taken);
  return taken;
}

}  // namespace

bool slot_has_frame(const RxRing& ring, std::uint32_t slot) noexcept {
  const std::uint64_t status = ring.descriptors[slot].hi;
  if (!ring.splits_frames()) return !is_empty<RxHeaders::in_frame>(ring, slot, status);
  return !is_empty<RxHeaders::split>(ring, slot, status);
}

POLLUX_NOINLINE std::uint32_t rx_slow(RxRing& ring, Mbuf** out, std::uint32_t limit) noexcept {
  return take_all<RxHeaders::in_frame>(ring, out, limit);
}

std::uint32_t rx_burst_keeping(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  return take_all<RxHeaders::in_frame>(static_cast<RxRing&>(base), out, limit);
}

std::uint32_t rx_burst_splitting(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  return take_all<RxHeaders::split>(static_cast<RxRing&>(base), out, limit);
}

}  // namespace pollux::drivers::intel
