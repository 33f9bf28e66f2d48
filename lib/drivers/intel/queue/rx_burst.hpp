// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>

#include "drivers/intel/queue/rx_hot_path.hpp"
#include "pollux/base/io.hpp"

// The way of a plain frame from its descriptor to the application, from top to bottom. Its figures are in
// docs/performance.md, what each trick gains among them.
namespace pollux::drivers::intel {

/// Where a run of slots ends in each of the arrays; all are indexed from minus its length up to -1.
struct RxRun {
  hw::intel::Descriptor* descriptors;
  Mbuf** slots;        ///< the mbufs behind the descriptors
  Mbuf* const* fresh;  ///< what is to be behind them
  Mbuf** out;
};

/// Takes a plain frame out of its slot and arms the slot with `fresh`. False, with nothing changed, for anything else.
/// `fresh` is read in any case.
template <bool OneDelta>
POLLUX_ALWAYS_INLINE bool take_plain(const RxFastPath& fast_path, hw::intel::Descriptor& descriptor,
                                     std::uint64_t status, Mbuf*& slot, Mbuf* fresh, Mbuf*& out) noexcept {
  // One unsigned comparison for all that can be wrong: what is left of the status bits lands above the length, and a
  // length of 0 wraps round. With the two checks on the transmit side it costs 2.2 instructions a frame.
  const std::uint64_t beyond_one = std::rotl((status & fast_path.mask) - fast_path.expected, 32);
  if (ablation::has(ablation::Part::checks) ? beyond_one > fast_path.max_excess : !hw::intel::rx::done(status))
      [[unlikely]]
    return false;
  Mbuf& received = *slot;
  if constexpr (ablation::has(ablation::Part::raw_words)) {
    MbufAccess::rx_low(received) = __atomic_load_n(&descriptor.lo, __ATOMIC_RELAXED);
    MbufAccess::rx_high(received) = status;
  }
  MbufAccess::set_word(received, beyond_one + fast_path.one_byte_word);
  out = &received;
  slot = fresh;
  if constexpr (OneDelta) {
    descriptor = hw::intel::rx::armed(reinterpret_cast<std::uintptr_t>(fresh) + fast_path.iova_delta);
  } else {
    descriptor = hw::intel::rx::armed(MbufAccess::iova(*fresh) + fast_path.data_offset());
  }
  return true;
}

/// Starts the way of a coming frame's first line from memory: a frame lies a header and its headroom behind its mbuf,
/// and with another headroom the line is a near one.
POLLUX_ALWAYS_INLINE void prefetch_frame(const Mbuf* mbuf) noexcept {
  constexpr std::size_t kHeadroom = 128;  // unless MempoolOptions::headroom says otherwise
  if constexpr (ablation::has(ablation::Part::look_ahead))
    __builtin_prefetch(reinterpret_cast<const std::byte*>(mbuf) + Mbuf::kHeaderSize + kHeadroom, 1, 3);
}

/// Takes the next frame of a run, if it is a plain one.
template <bool OneDelta>
POLLUX_ALWAYS_INLINE bool take_next(const RxFastPath& fast_path, const RxRun& run, std::intptr_t i) noexcept {
  const std::uint64_t status = io::load_acquire(run.descriptors[i].hi);
  if (!take_plain<OneDelta>(fast_path, run.descriptors[i], status, run.slots[i], run.fresh[i], run.out[i]))
    return false;
  prefetch_frame(run.slots[i + RxHotPath::kPrefetchDistance]);
  return true;
}

/// The reference: a frame at a time. Other Loops do the same with several at once.
template <bool OneDelta>
struct ScalarRxLoop {
  /// Takes plain frames from slot `i` of the run on; returns the slot of the first that is not, or 0 at the run's end.
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
  // More than this at once would ask a cache for more than it holds.
  constexpr std::uint32_t kMost = MempoolCache::kMaxCapacity / 2;
  MempoolCacheCore& cache = *queue.cache_;
  const RxFastPath fast_path =
      queue.fast_path_;  // in registers: for the compiler a store to an mbuf might change the queue
  std::uint32_t taken = 0;
  do {
    const std::uint32_t first = queue.next_;
    const std::uint32_t run = std::min({limit - taken, queue.mask_ + 1 - first, kMost});
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

// Exactly one frame has come: no loop, nothing to keep in registers. Saves nearly half of the cost at low rates.
template <bool Remote, bool OneDelta>
POLLUX_ALWAYS_INLINE bool RxHotPath::burst_one(RxQueue& queue, Mbuf** out, std::uint32_t slot,
                                               std::uint64_t status) noexcept {
  MempoolCacheCore& cache = *queue.cache_;
  const std::uint32_t objects = cache.first;
  Mbuf** const behind = queue.slots_ + slot;
  if (objects == MempoolCacheCore::kPlaces || !take_plain<OneDelta>(queue.fast_path_, queue.ring_[slot], status,
                                                                    *behind, cache.mbufs[objects], *out)) [[unlikely]] {
    return false;
  }
  prefetch_frame(behind[kPrefetchDistance]);
  cache.set_first(objects + 1);
  count_packets(queue, 1);
  const std::uint32_t after = slot + 1;
  publish(queue.next_, after & queue.mask_);
  if (!ablation::has(ablation::Part::doorbell_groups) || (after & queue.group_mask_) == 0)
    ring_tail<Remote>(queue, slot);
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
    if (ablation::has(ablation::Part::burst_of_one) && burst_one<Remote, OneDelta>(queue, out, slot, status)) return 1;
  }
  return BurstLoop(queue, out, limit);
}

}  // namespace pollux::drivers::intel
