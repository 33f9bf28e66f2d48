// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>

#include "drivers/intel/queue/rx_hot_path.hpp"
#include "pollux/base/io.hpp"

// The receive fast path, from the descriptor to the application. It takes frames that are complete in one buffer and
// have no error; rx_slow.cpp takes all others. docs/performance.md has its cost, and what each optimisation gains.
namespace pollux::drivers::intel {

/// A run of consecutive slots. Each pointer is the end of its array; the index goes from minus the run's length to -1.
struct RxRun {
  hw::intel::Descriptor* descriptors;
  Mbuf** slots;        ///< the mbufs whose buffers the descriptors hold
  Mbuf* const* fresh;  ///< the mbufs that replace them
  Mbuf** out;          ///< the received mbufs
};

/// Takes a fast-path frame out of its slot and arms the slot with `fresh`. Returns false and changes nothing if the
/// frame needs the slow path.
template <bool OneDelta>
POLLUX_ALWAYS_INLINE bool take_fast(const RxFastPath& fast_path, hw::intel::Descriptor& descriptor,
                                    std::uint64_t status, Mbuf*& slot, Mbuf* fresh, Mbuf*& out) noexcept {
  // One unsigned comparison covers every check: a status mismatch lands above the length, and a length of 0 wraps.
  // Together with the two checks on the transmit side it costs 2.2 instructions a frame.
  const std::uint64_t excess = std::rotl((status & fast_path.mask) - fast_path.expected, 32);
  if (excess > fast_path.max_excess) [[unlikely]]
    return false;
  Mbuf& received = *slot;
  MbufAccess::rx_low(received) = __atomic_load_n(&descriptor.lo, __ATOMIC_RELAXED);
  MbufAccess::rx_high(received) = status;
  MbufAccess::set_word(received, excess + fast_path.one_byte_word);
  out = &received;
  slot = fresh;
  if constexpr (OneDelta) {
    descriptor = hw::intel::rx::armed(reinterpret_cast<std::uintptr_t>(fresh) + fast_path.iova_delta);
  } else {
    descriptor = hw::intel::rx::armed(MbufAccess::iova(*fresh) + fast_path.data_offset());
  }
  return true;
}

/// Prefetches the first data line of a frame that is expected soon: a frame starts one header and one headroom after
/// the start of its mbuf. With another headroom a neighbouring line is prefetched.
POLLUX_ALWAYS_INLINE void prefetch_frame(const Mbuf* mbuf) noexcept {
  constexpr std::size_t kHeadroom = 128;  // unless MempoolOptions::headroom says otherwise
  __builtin_prefetch(reinterpret_cast<const std::byte*>(mbuf) + Mbuf::kHeaderSize + kHeadroom, 1, 3);
}

/// Takes the run's frame `i`. Returns false if it has not arrived or needs the slow path.
template <bool OneDelta>
POLLUX_ALWAYS_INLINE bool take_next(const RxFastPath& fast_path, const RxRun& run, std::intptr_t i) noexcept {
  const std::uint64_t status = io::load_acquire(run.descriptors[i].hi);
  if (!take_fast<OneDelta>(fast_path, run.descriptors[i], status, run.slots[i], run.fresh[i], run.out[i])) return false;
  prefetch_frame(run.slots[i + RxHotPath::kPrefetchDistance]);
  return true;
}

/// The reference loop, one frame at a time. The SIMD loops do the same with several frames at once.
template <bool OneDelta>
struct ScalarRxLoop {
  /// Takes fast-path frames from index `i` on. Returns the index of the first that it could not take, or 0 at the end.
  static POLLUX_ALWAYS_INLINE std::intptr_t take(const RxFastPath& fast_path, const RxRun& run,
                                                 std::intptr_t i) noexcept {
    do {
      if (!take_next<OneDelta>(fast_path, run, i)) break;
    } while (++i != 0);
    return i;
  }
};

template <class Loop, bool Remote, bool OneDelta>
POLLUX_ALWAYS_INLINE std::uint32_t RxHotPath::burst_loop(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept {
  constexpr std::uint32_t kMaxRun = MempoolCache::kMaxCapacity / 2;  // a cache can hold as many fresh mbufs
  MempoolCacheCore& cache = *queue.cache_;
  const RxFastPath fast_path = queue.fast_path_;  // a copy stays in registers: no store to an mbuf can alias it
  std::uint32_t taken = 0;
  do {
    const std::uint32_t first = queue.next_;
    const std::uint32_t run = std::min({limit - taken, queue.mask_ + 1 - first, kMaxRun});
    if (cache.count() < run) [[unlikely]] {
      cache.refill(run);
      if (cache.count() < run) break;
    }
    const std::intptr_t i = Loop::take(fast_path,
                                       {.descriptors = queue.ring_ + first + run,
                                        .slots = queue.slots_ + first + run,
                                        .fresh = cache.objects() + run,
                                        .out = out + taken + run},
                                       -static_cast<std::intptr_t>(run));
    const std::uint32_t done = run + static_cast<std::uint32_t>(i);
    cache.set_first(cache.first + done);
    advance<Remote>(queue, first, done);
    taken += done;
    if (i != 0) {
      count_packets(queue, taken);
      if (!hw::intel::rx::done(io::load_acquire(queue.ring_[first + done].hi))) return taken;
      return taken + slow(queue, out + taken, limit - taken);
    }
  } while (taken < limit);
  count_packets(queue, taken);
  return taken == limit ? taken : taken + slow(queue, out + taken, limit - taken);
}

// Exactly one frame has arrived: no loop and no copied constants. Saves nearly half of the cost at low rates.
template <bool Remote, bool OneDelta>
POLLUX_ALWAYS_INLINE bool RxHotPath::burst_one(RxQueue& queue, Mbuf** out, std::uint32_t slot,
                                               std::uint64_t status) noexcept {
  MempoolCacheCore& cache = *queue.cache_;
  const std::uint32_t objects = cache.first;
  Mbuf** const slot_mbuf = queue.slots_ + slot;
  if (objects == MempoolCacheCore::kSlots ||
      !take_fast<OneDelta>(queue.fast_path_, queue.ring_[slot], status, *slot_mbuf, cache.mbufs[objects], *out))
      [[unlikely]] {
    return false;
  }
  prefetch_frame(slot_mbuf[kPrefetchDistance]);
  cache.set_first(objects + 1);
  count_packets(queue, 1);
  const std::uint32_t after = slot + 1;
  publish(queue.next_, after & queue.mask_);
  if ((after & queue.group_mask_) == 0) ring_tail<Remote>(queue, slot);
  return true;
}

template <auto BurstLoop, bool Remote, bool OneDelta>
POLLUX_ALWAYS_INLINE std::uint32_t RxHotPath::burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  RxQueue& queue = static_cast<RxQueue&>(base);
  const std::uint32_t slot = queue.next_;
  const std::uint64_t status = io::load_acquire(queue.ring_[slot].hi);
  if (!hw::intel::rx::done(status)) {
    if constexpr (Remote) queue.tail_.flush();
    return 0;
  }
  if (limit < 2 || !hw::intel::rx::done(io::load_acquire(queue.ring_[(slot + 1) & queue.mask_].hi))) {
    if (limit == 0) [[unlikely]]
      return 0;
    if (burst_one<Remote, OneDelta>(queue, out, slot, status)) return 1;
  }
  return BurstLoop(queue, out, limit);
}

}  // namespace pollux::drivers::intel
