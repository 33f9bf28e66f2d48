// SPDX-License-Identifier: BSD-3-Clause
#include "base/compiler.hpp"
#include "drivers/intel/queue/rx_hot_path.hpp"
#include "pollux/base/io.hpp"

namespace pollux::drivers::intel {

namespace rx = hw::intel::rx;

namespace {

// The allocation site that checked builds report for the buffers of a frame that is being received.
constexpr Site kRing{"igb receive ring", 0};
constexpr std::uint64_t kNotDone = 0;

}  // namespace

// Both addresses are even: the lowest bit of the header's is the descriptor's done bit.
hw::intel::Descriptor RxHotPath::armed_for_split(const RxQueue& queue, std::uint32_t slot) noexcept {
  constexpr std::uint64_t kOffsetMask = 0xFFFF;
  const std::uint64_t header_offset = queue.header_word_ >> MbufAccess::kOffsetShift & kOffsetMask;
  return rx::armed(MbufAccess::iova(*queue.slots_[slot]) + queue.fast_path_.data_offset(),
                   MbufAccess::iova(*queue.headers_[slot]) + header_offset);
}

void RxHotPath::arm(RxQueue& queue, std::uint32_t slot) noexcept {
  queue.ring_[slot] = rx::armed(MbufAccess::iova(*queue.slots_[slot]) + queue.fast_path_.data_offset());
}

void RxHotPath::arm_again(RxQueue& queue, std::uint32_t slot) noexcept {
  if (!queue.splits_frames()) return arm(queue, slot);
  queue.ring_[slot] = armed_for_split(queue, slot);
}

// Whether `take_fresh` finds a buffer. False if the pool is exhausted.
POLLUX_ALWAYS_INLINE bool RxHotPath::has_fresh(MempoolCacheCore& cache) noexcept {
  if (cache.count() == 0) cache.refill(1);
  if (cache.count() != 0) return true;
  cache.count_failure();
  return false;
}

POLLUX_ALWAYS_INLINE Mbuf* RxHotPath::take_fresh(MempoolCacheCore& cache) noexcept {
  Mbuf* const fresh = *cache.objects();
  cache.set_first(cache.first + 1);
  return fresh;
}

// Puts a fresh buffer into `slot` and arms the slot. Returns false if the pool is exhausted.
template <RxHotPath::Headers Where>
POLLUX_ALWAYS_INLINE bool RxHotPath::replace(RxQueue& queue, std::uint32_t slot) noexcept {
  MempoolCacheCore& cache = *queue.cache_;
  if (cache.count() == 0) cache.refill(1);
  if (cache.count() == 0) {
    cache.count_failure();
    return false;
  }
  queue.slots_[slot] = *cache.objects();
  cache.set_first(cache.first + 1);
  if constexpr (Where == Headers::in_frame) {
    arm(queue, slot);
  } else {
    arm_again(queue, slot);
  }
  return true;
}

// [I-HDRSPLIT] The bytes in the header buffer, as the first descriptor of a frame reports them; 0 if the frame was not
// split. Of a header longer than `limit`, its buffer, the card reports the length alone and an overflow with the end of
// the frame. Without the overflow it lies, unless the frame has the headers, too ([I-HDRCOPY]).
template <RxHotPath::Headers Where>
POLLUX_ALWAYS_INLINE std::uint32_t RxHotPath::header_length(std::uint64_t low, std::uint64_t status,
                                                            std::uint32_t limit) noexcept {
  if ((low & rx::kSplitHeader) == 0 || (status & rx::kHeaderOverflow) != 0) return 0;
  const std::uint32_t length = rx::header_length(low);
  if constexpr (Where == Headers::copied) return length > limit ? 0 : length;
  return length > limit && (status & rx::kEndOfPacket) == 0 ? 0 : length;
}

// [I-ZEROLEN] Whether a slot that is done has the last store of an earlier write-back and no frame. If there are
// buffers for headers, what the store does not touch is what the slot was armed with. A split frame of headers alone
// has length 0.
template <RxHotPath::Headers Where>
POLLUX_ALWAYS_INLINE bool RxHotPath::is_empty(const RxQueue& queue, std::uint32_t slot, std::uint64_t status) noexcept {
  if constexpr (Where != Headers::in_frame) {
    const std::uint64_t low = __atomic_load_n(&queue.ring_[slot].lo, __ATOMIC_RELAXED);
    const hw::intel::Descriptor armed = armed_for_split(queue, slot);
    if (low == armed.lo && status >> rx::kLengthShift == armed.hi >> rx::kLengthShift) return true;
    if constexpr (Where == Headers::split) {
      if (header_length<Where>(low, status, queue.splitting_.header_bytes) != 0) return false;
    }
  }
  return rx::length(status) == 0;
}

bool RxHotPath::has_frame(const RxQueue& queue, std::uint32_t slot) noexcept {
  const std::uint64_t status = queue.ring_[slot].hi;
  if (!queue.splits_frames()) return !is_empty<Headers::in_frame>(queue, slot, status);
  return queue.splitting_.replicates ? !is_empty<Headers::copied>(queue, slot, status)
                                     : !is_empty<Headers::split>(queue, slot, status);
}

// Whether the lengths of a write-back cannot be true. `header`: from `header_length`, 0 in later descriptors.
template <RxHotPath::Headers Where>
POLLUX_ALWAYS_INLINE bool RxHotPath::lies(const RxQueue& queue, std::uint32_t slot, std::uint64_t low,
                                          std::uint64_t status, std::uint32_t header) noexcept {
  const std::uint32_t length = rx::length(status);
  if constexpr (Where != Headers::in_frame) {
    const hw::intel::Descriptor armed = armed_for_split(queue, slot);
    if (low == armed.lo && status >> rx::kLengthShift == armed.hi >> rx::kLengthShift) return true;
  }
  if constexpr (Where == Headers::split) {
    if (header > queue.splitting_.header_bytes) return true;
    // Only a frame that ends with its header has no payload.
    if (header != 0 && length == 0) return (status & rx::kEndOfPacket) == 0;
  }
  if (Where == Headers::copied && header > length) return true;
  return length == 0 || length > queue.max_length_;
}

// Drops the frame, with the segments received so far, and counts it in `counter`. Arms the slot again with the same
// buffer.
POLLUX_COLD RxHotPath::Outcome RxHotPath::reject(RxQueue& queue, std::uint64_t& counter,
                                                 std::uint64_t status) noexcept {
  add_to(counter, std::uint64_t{1});
  if (queue.chain_head_ != nullptr) queue.cache_->free(*queue.chain_head_);
  queue.chain_head_ = nullptr;
  arm_again(queue, queue.next_);
  // The rest of the frame is discarded without being counted again.
  const bool more = (status & rx::kEndOfPacket) == 0;
  publish(queue.chain_, more ? RxQueue::Chain::discarding : RxQueue::Chain::none);
  queue.fast_path_.expected = more ? kNeverExpected : kFastPathExpected;
  return Outcome::consumed;
}

// Appends a received buffer to the frame so far. The last segment completes the frame.
POLLUX_ALWAYS_INLINE RxHotPath::Outcome RxHotPath::extend_chain(RxQueue& queue, Mbuf& segment, std::uint64_t low,
                                                                std::uint64_t status, Mbuf*& out) noexcept {
  const bool last = (status & rx::kEndOfPacket) != 0;
  if (queue.chain_head_ == nullptr) {
    if (last) {
      out = &segment;
      return Outcome::frame;
    }
    queue.chain_head_ = &segment;
    MbufAccess::packet_length(segment) = 0;
    MbufAccess::segment_count(segment) = 0;
  } else {
    MbufAccess::next(*queue.chain_tail_) = &segment;
  }
  MbufAccess::special(segment) = MbufAccess::kMultiSegment;
  MbufAccess::next(segment) = nullptr;
  queue.chain_tail_ = &segment;
  Mbuf& head = *queue.chain_head_;
  ++MbufAccess::segment_count(head);
  MbufAccess::packet_length(head) += segment.length();
  publish(queue.chain_, last ? RxQueue::Chain::none : RxQueue::Chain::growing);
  queue.fast_path_.expected = last ? kFastPathExpected : kNeverExpected;
  if (!last) return Outcome::consumed;
  // Status and errors of a frame are in its last descriptor.
  MbufAccess::rx_low(head) = low;
  MbufAccess::rx_high(head) = status;
  out = &head;
  queue.chain_head_ = nullptr;
  return Outcome::frame;
}

// Whether RDH is at `slot`: the card has not written it yet. Reads a register, so it is called only after
// kMaxEmptyWritebackPolls polls.
bool RxHotPath::head_is_at(const RxQueue& queue, std::uint32_t slot) noexcept {
  return queue.registers_ && queue.registers_.read32(queue.head_offset_) == slot;
}

// The status of a slot that is done with length 0. It counts as not done while the card may still write the slot. If
// RDH is still at the slot, the last store of an earlier write-back landed there after the slot was armed. The card's
// next write-back will replace it. To move on would put the queue ahead of the card, and to arm the slot again could
// overwrite the coming write-back.
POLLUX_COLD std::uint64_t RxHotPath::recheck_empty_write_back(RxQueue& queue, std::uint32_t slot) noexcept {
  // A frame taken since the last such poll starts the count again.
  if (queue.packets_ != queue.packets_at_empty_) queue.empty_write_backs_ = 0;
  queue.packets_at_empty_ = queue.packets_;
  if (++queue.empty_write_backs_ < kMaxEmptyWritebackPolls) return kNotDone;
  queue.empty_write_backs_ = 0;
  if (head_is_at(queue, slot)) return kNotDone;
  // The card may have written the slot since it was read. Read it again: the write-back is visible once RDH has moved.
  return io::load_acquire(queue.ring_[slot].hi);
}

// Takes a frame whose header is in a buffer of its own, or its first part. A frame of headers alone leaves the other
// buffer in its slot. Copied headers are in the other buffer, too, and become its headroom.
template <RxHotPath::Headers Where>
POLLUX_ALWAYS_INLINE RxHotPath::Outcome RxHotPath::take_split(RxQueue& queue, std::uint64_t low, std::uint64_t status,
                                                              std::uint32_t header, Mbuf*& out) noexcept {
  const std::uint32_t slot = queue.next_;
  const std::uint32_t skipped = Where == Headers::copied ? header : 0;
  const std::uint32_t length = rx::length(status) - skipped;
  MempoolCacheCore& headers = *queue.splitting_.cache;
  if (!has_fresh(headers) || (length != 0 && !has_fresh(*queue.cache_))) {
    return reject(queue, queue.drops_.pool_empty, status);
  }
  Mbuf& head = *queue.headers_[slot];
  Mbuf& payload = *queue.slots_[slot];
  queue.headers_[slot] = take_fresh(headers);
  if (length != 0) queue.slots_[slot] = take_fresh(*queue.cache_);
  arm_again(queue, slot);
  MbufAccess::rx_low(head) = low;
  MbufAccess::rx_high(head) = status;
  MbufAccess::set_word(head, queue.header_word_ + header);
  MbufAccess::stamp(head, kRing);
  if (length == 0) return extend_chain(queue, head, low, status, out);
  MbufAccess::rx_low(payload) = low;
  MbufAccess::rx_high(payload) = status;
  MbufAccess::set_word(
      payload, queue.fast_path_.one_byte_word + (length - 1) + (std::uint64_t{skipped} << MbufAccess::kOffsetShift));
  MbufAccess::stamp(payload, kRing);
  static_cast<void>(extend_chain(queue, head, low, status & ~rx::kEndOfPacket, out));
  return extend_chain(queue, payload, low, status, out);
}

template <RxHotPath::Headers Where>
POLLUX_ALWAYS_INLINE RxHotPath::Outcome RxHotPath::take_slow(RxQueue& queue, Mbuf*& out) noexcept {
  const std::uint32_t slot = queue.next_;
  std::uint64_t status = io::load_acquire(queue.ring_[slot].hi);
  if (rx::done(status) && is_empty<Where>(queue, slot, status)) [[unlikely]]
    status = recheck_empty_write_back(queue, slot);
  if (!rx::done(status)) return Outcome::not_done;
  const std::uint64_t low = __atomic_load_n(&queue.ring_[slot].lo, __ATOMIC_RELAXED);
  const std::uint32_t length = rx::length(status);
  queue.empty_write_backs_ = 0;
  // Each frame with an error is counted once while such frames are kept, whatever becomes of it.
  const auto count_if_bad = [&queue, status] {
    constexpr std::uint64_t kBadEnd = rx::kDataError | rx::kEndOfPacket;
    if (queue.keeps_bad_frames_ && (status & kBadEnd) == kBadEnd) add_to(queue.bad_frames_, std::uint64_t{1});
  };

  if (queue.chain_ == RxQueue::Chain::discarding) {
    std::uint64_t already_counted = 0;
    count_if_bad();
    return reject(queue, already_counted, status);
  }
  const std::uint32_t header = Where != Headers::in_frame && queue.chain_head_ == nullptr
                                   ? header_length<Where>(low, status, queue.splitting_.header_bytes)
                                   : 0;
  if (lies<Where>(queue, slot, low, status, header)) [[unlikely]] {
    count_if_bad();
    return reject(queue, queue.drops_.bad_length, status);
  }
  if ((status & rx::kDataError) != 0) [[unlikely]] {
    if (!queue.keeps_bad_frames_) return reject(queue, queue.drops_.error, status);
    count_if_bad();
  }
  if (queue.chain_head_ != nullptr && MbufAccess::segment_count(*queue.chain_head_) == kMaxSegments) {
    return reject(queue, queue.drops_.too_many_segments, status);
  }
  if (header != 0) return take_split<Where>(queue, low, status, header, out);
  Mbuf& segment = *queue.slots_[slot];
  if (!replace<Where>(queue, slot)) return reject(queue, queue.drops_.pool_empty, status);
  MbufAccess::rx_low(segment) = low;
  MbufAccess::rx_high(segment) = status;
  MbufAccess::set_word(segment, queue.fast_path_.one_byte_word + (length - 1));
  MbufAccess::stamp(segment, kRing);
  return extend_chain(queue, segment, low, status, out);
}

template <RxHotPath::Headers Where>
POLLUX_ALWAYS_INLINE std::uint32_t RxHotPath::take_all(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept {
  std::uint32_t taken = 0;
  // At most one lap of the ring: a card that delivers without end must not keep the caller here.
  for (std::uint32_t slots = 0; slots <= queue.mask_ && taken < limit; ++slots) {
    const Outcome outcome = take_slow<Where>(queue, out[taken]);
    if (outcome == Outcome::not_done) {
      if (taken == 0) queue.tail_.flush();
      break;
    }
    if (outcome == Outcome::frame) ++taken;
    if (queue.tail_.is_remote()) {
      advance<true>(queue, queue.next_, 1);
    } else {
      advance<false>(queue, queue.next_, 1);
    }
  }
  count_packets(queue, taken);
  return taken;
}

POLLUX_NOINLINE std::uint32_t RxHotPath::slow(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept {
  return take_all<Headers::in_frame>(queue, out, limit);
}

std::uint32_t RxHotPath::burst_splitting(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  return take_all<Headers::split>(static_cast<RxQueue&>(base), out, limit);
}

std::uint32_t RxHotPath::burst_copying_headers(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  return take_all<Headers::copied>(static_cast<RxQueue&>(base), out, limit);
}

}  // namespace pollux::drivers::intel
