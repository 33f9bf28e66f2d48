// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstring>

#include "drivers/intel/queue/tx_ring.hpp"
#include "mem/ownership.hpp"
#include "pollux/base/io.hpp"

// The transmit fast path, from the application to the descriptor, and the return of sent buffers. It sends direct,
// single-segment mbufs of the cache's pool; tx_slow.cpp sends or drops all others. docs/performance-details.md has its
// cost, and what each optimisation gains.
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
    std::memcpy(to, from, TxRing::kGroup * sizeof(Mbuf*));
  }
};

/// Slots in a group, less one. `Small`: a ring of fewer than four groups.
template <bool Small>
POLLUX_ALWAYS_INLINE std::uint32_t group_mask_of(const TxRing& ring) noexcept {
  if constexpr (Small) return ring.group_mask;
  return TxRing::kGroup - 1;
}

/// Whether the oldest group is full and the card has reported it done.
template <bool Small>
POLLUX_ALWAYS_INLINE bool oldest_done(const TxRing& ring) noexcept {
  return (ring.next.value() ^ ring.clean.value()) > group_mask_of<Small>(ring) &&
         hw::intel::tx::done(io::load_acquire(*ring.done));
}

template <class Loop, bool Small>
POLLUX_ALWAYS_INLINE void clean_group(TxRing& ring) noexcept {
  const std::uint32_t first = ring.clean.slot(ring.mask);
  const std::uint32_t mask = group_mask_of<Small>(ring);
  const std::uint32_t slots = mask + 1 - (first & mask);
  const std::uint32_t group = first >> ring.group_shift;
  if (ownership::kChecked || ring.contents[group] != TxRing::kDirect) [[unlikely]] {
    free_group(ring, slots);
  } else {
    MempoolCacheCore& cache = *ring.sent_cache;
    cache.make_room(TxRing::kGroup);
    // Direct, single-segment mbufs of the cache's own pool: only pointers are moved.
    Mbuf** const to = cache.objects() - slots;
    if (!Small && slots == TxRing::kGroup) [[likely]] {
      Loop::copy_group(to, ring.slots + first);
    } else {
      std::copy_n(ring.slots + first, slots, to);
    }
    cache.set_first(cache.first - slots);
  }
  ring.clean += slots;
  watch_oldest(ring);
}

template <bool Remote>
POLLUX_ALWAYS_INLINE void tx_finish(TxRing& ring, RingIndex next, std::uint32_t frames) noexcept {
  ring.next = next;
  add_to(ring.packets_, frames);
  if constexpr (Remote) {
    ring.tail.ring(next.slot(ring.mask));
    ring.tail.flush();
  } else {
    ring.tail.ring_mapped(next.slot(ring.mask));
  }
}

/// Cleans the groups that are done. Then sends each run of fast-path frames with `Loop`, and the frames between them
/// on the slow path.
template <class Loop, bool Remote, bool Small>
POLLUX_ALWAYS_INLINE std::uint32_t tx_burst_loop(TxRing& ring, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  while (oldest_done<Small>(ring)) clean_group<Loop, Small>(ring);
  const TxFastPath fast_path = ring.fast_path;  // a copy stays in registers: no store to the ring can alias it
  const std::uint32_t mask = group_mask_of<Small>(ring);
  RingIndex next = ring.next;
  std::uint32_t taken = 0;
  while (taken < count) {
    const std::uint32_t to_group_end = mask + 1 - (next.value() & mask);
    const std::uint32_t run = std::min({to_group_end, count - taken, free_slots(ring, next)});
    if (run == 0) [[unlikely]]
      break;
    const std::uint32_t end = next.slot(ring.mask) + run;
    const std::intptr_t i = Loop::send(
        fast_path, {.descriptors = ring.descriptors + end, .slots = ring.slots + end, .frames = mbufs + taken + run},
        -static_cast<std::intptr_t>(run));
    const std::uint32_t done = run + static_cast<std::uint32_t>(i);
    next += done;
    taken += done;
    // Set RS on the last frame of each group and of the burst, so that the card reports every buffer when bursts end.
    if (done != 0) [[likely]]
      ring.descriptors[end + static_cast<std::uint32_t>(i) - 1].hi |= hw::intel::tx::kReportStatus;
    if (i != 0) [[unlikely]] {
      RingIndex after = next;
      std::uint32_t sent = 1;
      if (has_request(mbufs[taken])) {
        sent = tx_send_requests(ring, mbufs + taken, count - taken, after);
        if (sent == 0) break;
      } else if (ring.send_slow(ring, mbufs[taken], after) == TxOutcome::no_room) {
        break;
      }
      next = after;
      taken += sent;
    }
  }
  if (taken != 0) tx_finish<Remote>(ring, next, taken);
  return taken;
}

// Sends a burst of one fast-path frame, for which there is room at `next`.
template <bool Remote>
POLLUX_ALWAYS_INLINE bool tx_burst_one(TxRing& ring, RingIndex next, Mbuf* frame) noexcept {
  const std::uint32_t slot = next.slot(ring.mask);
  if (!send_fast(ring.fast_path, ring.descriptors[slot], ring.slots[slot], frame, hw::intel::tx::kReportStatus))
    return false;
  tx_finish<Remote>(ring, next + 1, 1);
  return true;
}

POLLUX_ALWAYS_INLINE std::uint32_t tx_request_one(TxRing& ring, Mbuf* const* frames, TxBurstLoop* rest) noexcept {
  const TxRepeat& repeat = ring.contexts.repeat(ring.contexts.latest());
  return repeat.send_one(ring, repeat, frames, rest);
}

/// One burst. `BurstLoop` sends whatever is not a single fast-path frame. `Remote`: registers are accessed through
/// functions, and their posted writes are flushed.
template <auto BurstLoop, bool Remote, bool Small>
POLLUX_HOT std::uint32_t tx_burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  TxRing& ring = static_cast<TxRing&>(base);
  const RingIndex next = ring.next;
  if (count == 1 && !ownership::kChecked && free_slots(ring, next) != 0 && !oldest_done<Small>(ring)) {
    if (tx_burst_one<Remote>(ring, next, mbufs[0])) return 1;
    if (has_request(mbufs[0])) return tx_request_one(ring, mbufs, BurstLoop);
  }
  if (count == 0) [[unlikely]]
    return tx_idle(ring, mbufs);
  if (has_request(mbufs[0])) [[unlikely]]
    return tx_request_burst(ring, mbufs, count, BurstLoop);
  return BurstLoop(ring, mbufs, count);
}

}  // namespace pollux::drivers::intel
