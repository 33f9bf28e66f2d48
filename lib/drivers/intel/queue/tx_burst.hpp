// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstring>

#include "drivers/intel/queue/tx_hot_path.hpp"
#include "mem/ownership.hpp"
#include "pollux/base/io.hpp"

// The transmit fast path, from the application to the descriptor, and the return of sent buffers. It sends direct,
// single-segment mbufs of the cache's pool; tx_slow.cpp sends or drops all others. docs/performance.md has its cost,
// and what each optimisation gains.
namespace pollux::drivers::intel {

/// A run of consecutive slots. Each pointer is the end of its array; the index goes from minus the run's length to -1.
struct TxRun {
  hw::intel::Descriptor* descriptors;
  Mbuf** slots;         ///< the mbufs whose buffers the descriptors hold
  Mbuf* const* frames;  ///< the mbufs to send
};

/// Writes the descriptor of a fast-path frame, with `flags` added to its command. Returns false and changes nothing if
/// the frame needs the slow path.
POLLUX_ALWAYS_INLINE bool send_fast(const TxFastPath& fast_path, hw::intel::Descriptor& descriptor, Mbuf*& slot,
                                    Mbuf* frame, std::uint64_t flags = 0) noexcept {
  if constexpr (ownership::kChecked) {
    if (frame == nullptr || !ownership::is_allocated(*frame, fast_path.context)) return false;
  }
  // One comparison covers length, pool and `special`, which are adjacent in the mbuf. A mismatch in pool or `special`
  // lands above the length and exceeds every limit.
  const std::uint32_t excess = static_cast<std::uint32_t>(MbufAccess::word(*frame)) - fast_path.shortest;
  if (excess > fast_path.max_excess) [[unlikely]]
    return false;
  descriptor = {frame->data_iova(), excess * fast_path.per_byte + fast_path.command + flags};
  slot = frame;
  return true;
}

/// Sends the run's frame `i`. Returns false if it needs the slow path.
POLLUX_ALWAYS_INLINE bool send_next(const TxFastPath& fast_path, const TxRun& run, std::intptr_t i) noexcept {
  return send_fast(fast_path, run.descriptors[i], run.slots[i], run.frames[i]);
}

/// The reference loop, one frame at a time. The SIMD loops do the same with several frames at once.
struct ScalarTxLoop {
  /// Sends fast-path frames from index `i` on. Returns the index of the first that needs the slow path, or 0 at the
  /// end.
  static POLLUX_ALWAYS_INLINE std::intptr_t send(const TxFastPath& fast_path, const TxRun& run,
                                                 std::intptr_t i) noexcept {
    do {
      if (!send_next(fast_path, run, i)) break;
    } while (++i != 0);
    return i;
  }
  static POLLUX_ALWAYS_INLINE void copy_group(Mbuf** to, Mbuf* const* from) noexcept {
    std::memcpy(to, from, TxHotPath::kGroup * sizeof(Mbuf*));
  }
};

template <bool Small>
POLLUX_ALWAYS_INLINE std::uint32_t TxHotPath::group_mask(const TxQueue& queue) noexcept {
  if constexpr (Small) return queue.group_mask_;
  return kGroup - 1;
}

template <bool Small>
POLLUX_ALWAYS_INLINE bool TxHotPath::oldest_done(const TxQueue& queue) noexcept {
  return (queue.next_.value() ^ queue.clean_.value()) > group_mask<Small>(queue) &&
         hw::intel::tx::done(io::load_acquire(*queue.done_));
}

template <class Loop, bool Small>
POLLUX_ALWAYS_INLINE void TxHotPath::clean_group(TxQueue& queue) noexcept {
  const std::uint32_t first = queue.clean_.slot(queue.mask_);
  const std::uint32_t mask = group_mask<Small>(queue);
  const std::uint32_t slots = mask + 1 - (first & mask);
  const std::uint32_t group = first >> queue.group_shift_;
  if (ownership::kChecked || queue.contents_[group] != TxQueue::kDirect) [[unlikely]] {
    free_group(queue, slots);
  } else {
    MempoolCacheCore& cache = *queue.cache_;
    cache.make_room(kGroup);
    // Direct, single-segment mbufs of the cache's own pool: only pointers are moved.
    Mbuf** const to = cache.objects() - slots;
    if (!Small && slots == kGroup) [[likely]] {
      Loop::copy_group(to, queue.slots_ + first);
    } else {
      std::copy_n(queue.slots_ + first, slots, to);
    }
    cache.set_first(cache.first - slots);
  }
  queue.clean_ += slots;
  watch_oldest(queue);
}

template <bool Remote>
POLLUX_ALWAYS_INLINE void TxHotPath::finish(TxQueue& queue, RingIndex next, std::uint32_t frames) noexcept {
  queue.next_ = next;
  add_to(queue.packets_, frames);
  if constexpr (Remote) {
    queue.tail_.ring(next.slot(queue.mask_));
    queue.tail_.flush();
  } else {
    queue.tail_.ring_mapped(next.slot(queue.mask_));
  }
}

template <class Loop, bool Remote, bool Small>
POLLUX_ALWAYS_INLINE std::uint32_t TxHotPath::burst_loop(TxQueue& queue, Mbuf* const* mbufs,
                                                         std::uint32_t count) noexcept {
  while (oldest_done<Small>(queue)) clean_group<Loop, Small>(queue);
  const TxFastPath fast_path = queue.fast_path_;  // a copy stays in registers: no store to the ring can alias it
  const std::uint32_t mask = group_mask<Small>(queue);
  RingIndex next = queue.next_;
  std::uint32_t taken = 0;
  while (taken < count) {
    const std::uint32_t to_group_end = mask + 1 - (next.value() & mask);
    const std::uint32_t run = std::min({to_group_end, count - taken, free_slots(queue, next)});
    if (run == 0) [[unlikely]]
      break;
    const std::uint32_t end = next.slot(queue.mask_) + run;
    const std::intptr_t i = Loop::send(
        fast_path, {.descriptors = queue.ring_ + end, .slots = queue.slots_ + end, .frames = mbufs + taken + run},
        -static_cast<std::intptr_t>(run));
    const std::uint32_t done = run + static_cast<std::uint32_t>(i);
    next += done;
    taken += done;
    // Set RS on the last frame of each group and of the burst, so that the card reports every buffer when bursts end.
    if (done != 0) [[likely]]
      queue.ring_[end + static_cast<std::uint32_t>(i) - 1].hi |= hw::intel::tx::kReportStatus;
    if (i != 0) [[unlikely]] {
      RingIndex after = next;
      std::uint32_t sent = 1;
      if (has_request(mbufs[taken])) {
        sent = send_requests(queue, mbufs + taken, count - taken, after);
        if (sent == 0) break;
      } else if (send_slow(queue, mbufs[taken], after) == Outcome::no_room) {
        break;
      }
      next = after;
      taken += sent;
    }
  }
  if (taken != 0) finish<Remote>(queue, next, taken);
  return taken;
}

// Sends a burst of one fast-path frame if there is no group to clean first.
template <bool Remote, bool Small>
POLLUX_ALWAYS_INLINE bool TxHotPath::burst_one(TxQueue& queue, Mbuf* frame) noexcept {
  if (oldest_done<Small>(queue) || free_slots(queue, queue.next_) == 0) [[unlikely]]
    return false;
  const RingIndex next = queue.next_;
  const std::uint32_t slot = next.slot(queue.mask_);
  if (!send_fast(queue.fast_path_, queue.ring_[slot], queue.slots_[slot], frame, hw::intel::tx::kReportStatus))
    return false;
  finish<Remote>(queue, next + 1, 1);
  return true;
}

template <auto BurstLoop, bool Remote, bool Small>
POLLUX_ALWAYS_INLINE std::uint32_t TxHotPath::burst(pollux::TxQueue& base, Mbuf* const* mbufs,
                                                    std::uint32_t count) noexcept {
  TxQueue& queue = static_cast<TxQueue&>(base);
  if (count == 1 && !ownership::kChecked && burst_one<Remote, Small>(queue, mbufs[0])) return 1;
  if (count == 0) [[unlikely]]
    return idle_burst(queue, mbufs);
  if (has_request(mbufs[0])) [[unlikely]]
    return request_burst(queue, mbufs, count, BurstLoop);
  return BurstLoop(queue, mbufs, count);
}

}  // namespace pollux::drivers::intel
