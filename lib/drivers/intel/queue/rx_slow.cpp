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

void RxHotPath::arm(RxQueue& queue, std::uint32_t slot) noexcept {
  queue.ring_[slot] = rx::armed(MbufAccess::iova(*queue.slots_[slot]) + queue.fast_path_.data_offset());
}

// Puts a fresh buffer into `slot` and arms the slot. Returns false if the pool is exhausted.
POLLUX_ALWAYS_INLINE bool RxHotPath::replace(RxQueue& queue, std::uint32_t slot) noexcept {
  MempoolCacheCore& cache = *queue.cache_;
  if (cache.count() == 0) cache.refill(1);
  if (cache.count() == 0) {
    cache.count_failure();
    return false;
  }
  queue.slots_[slot] = *cache.objects();
  cache.set_first(cache.first + 1);
  arm(queue, slot);
  return true;
}

// Drops the frame, with the segments received so far, and counts it in `counter`. Arms the slot again with the same
// buffer.
POLLUX_COLD RxHotPath::Outcome RxHotPath::reject(RxQueue& queue, std::uint64_t& counter,
                                                 std::uint64_t status) noexcept {
  add_to(counter, std::uint64_t{1});
  if (queue.chain_head_ != nullptr) queue.cache_->free(*queue.chain_head_);
  queue.chain_head_ = nullptr;
  arm(queue, queue.next_);
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

POLLUX_ALWAYS_INLINE RxHotPath::Outcome RxHotPath::take_slow(RxQueue& queue, Mbuf*& out) noexcept {
  const std::uint32_t slot = queue.next_;
  std::uint64_t status = io::load_acquire(queue.ring_[slot].hi);
  if (rx::done(status) && rx::length(status) == 0) [[unlikely]]
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
  if (length == 0 || length > queue.max_length_) [[unlikely]] {
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
  Mbuf& segment = *queue.slots_[slot];
  if (!replace(queue, slot)) return reject(queue, queue.drops_.pool_empty, status);
  MbufAccess::rx_low(segment) = low;
  MbufAccess::rx_high(segment) = status;
  MbufAccess::set_word(segment, queue.fast_path_.one_byte_word + (length - 1));
  MbufAccess::stamp(segment, kRing);
  return extend_chain(queue, segment, low, status, out);
}

POLLUX_NOINLINE std::uint32_t RxHotPath::slow(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept {
  std::uint32_t taken = 0;
  // At most one lap of the ring: a card that delivers without end must not keep the caller here.
  for (std::uint32_t slots = 0; slots <= queue.mask_ && taken < limit; ++slots) {
    const Outcome outcome = take_slow(queue, out[taken]);
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

}  // namespace pollux::drivers::intel
