// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include "drivers/intel/queue/rx_ring.hpp"
#include "pollux/base/io.hpp"

// The receive fast path, from the descriptor to the application. It takes frames that are complete in one buffer and
// have no error; rx_slow.cpp takes all others. docs/performance-details.md has its cost, and what each optimisation
// gains.
namespace pollux::drivers::intel {

/// A run of consecutive slots. Each pointer is the end of its array; the index goes from minus the run's length to -1.
struct RxRun {
  hw::intel::Descriptor* descriptors;
  Mbuf** slots;        ///< the mbufs whose buffers the descriptors hold
  Mbuf* const* fresh;  ///< the mbufs that replace them
  Mbuf** out;          ///< the received mbufs
};

/// The length of a fast-path frame, less one byte, or more than `fast_path.max_excess` for all others. One unsigned
/// comparison covers every check: a status mismatch lands above the length, and a length of 0 wraps. Together with the
/// two checks on the transmit side it costs 2.2 instructions a frame.
POLLUX_ALWAYS_INLINE std::uint64_t excess_of(const RxFastPath& fast_path, std::uint64_t status) noexcept {
  return std::rotl((status & fast_path.mask) - fast_path.expected, 32);
}

/// Takes a fast-path frame out of its slot and arms the slot with `fresh`.
template <bool OneDelta>
POLLUX_ALWAYS_INLINE void exchange(const RxFastPath& fast_path, hw::intel::Descriptor& descriptor, std::uint64_t status,
                                   std::uint64_t excess, Mbuf*& slot, Mbuf* const& fresh, Mbuf*& out) noexcept {
  Mbuf& received = *slot;
  MbufAccess::rx_high(received) = status;
  MbufAccess::rx_low(received) = __atomic_load_n(&descriptor.lo, __ATOMIC_RELAXED);
  MbufAccess::set_word(received, excess + fast_path.one_byte_word);
  out = &received;
  Mbuf* const next = fresh;
  slot = next;
  if constexpr (OneDelta) {
    descriptor = hw::intel::rx::armed(reinterpret_cast<std::uintptr_t>(next) + fast_path.iova_delta);
  } else {
    descriptor = hw::intel::rx::armed(MbufAccess::iova(*next) + fast_path.data_offset());
  }
}

/// The same, unless the frame needs the slow path: then returns false and changes nothing.
template <bool OneDelta>
POLLUX_ALWAYS_INLINE bool take_fast(const RxFastPath& fast_path, hw::intel::Descriptor& descriptor,
                                    std::uint64_t status, Mbuf*& slot, Mbuf* fresh, Mbuf*& out) noexcept {
  const std::uint64_t excess = excess_of(fast_path, status);
  if (excess > fast_path.max_excess) [[unlikely]]
    return false;
  exchange<OneDelta>(fast_path, descriptor, status, excess, slot, fresh, out);
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
  prefetch_frame(run.slots[i + RxRing::kPrefetchDistance]);
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

POLLUX_ALWAYS_INLINE void count_packets(RxRing& ring, std::uint32_t packets) noexcept {
  add_to(ring.packets_, packets);
}

/// Tells the card that all slots before `position` are armed.
template <bool Remote>
POLLUX_ALWAYS_INLINE void ring_doorbell(RxRing& ring, std::uint32_t position) noexcept {
  if constexpr (Remote) {
    ring.tail.ring(position & ring.mask);
  } else {
    ring.tail.ring_mapped(position & ring.mask);
  }
}

/// Moves on from `slot` by `slots`. Writes the doorbell once per group, since each doorbell is a bus write. So
/// while no frames arrive, the card does not know of the last armed slots, which are fewer than a group. A ring has
/// at least four groups, so enough slots remain.
template <bool Remote>
POLLUX_ALWAYS_INLINE void advance(RxRing& ring, std::uint32_t slot, std::uint32_t slots) noexcept {
  const std::uint32_t after = slot + slots;
  publish(ring.next, after & ring.mask);
  if ((slot ^ after) <= ring.group_mask) return;
  ring_doorbell<Remote>(ring, (after & ~ring.group_mask) - 1);
}

/// Takes each run of fast-path frames with `Loop`. `rx_slow` takes the rest of the burst from the first other frame on.
template <class Loop, bool Remote, bool OneDelta>
POLLUX_ALWAYS_INLINE std::uint32_t rx_burst_loop(RxRing& ring, Mbuf** out, std::uint32_t limit) noexcept {
  constexpr std::uint32_t kMaxRun = MempoolCache::kMaxCapacity / 2;  // a cache can hold as many fresh mbufs
  MempoolCacheCore& cache = *ring.cache_;
  const RxFastPath fast_path = ring.fast_path;  // a copy stays in registers: no store to an mbuf can alias it
  std::uint32_t taken = 0;
  do {
    const std::uint32_t first = ring.next;
    const std::uint32_t run = std::min({limit - taken, ring.mask + 1 - first, kMaxRun});
    if (cache.count() < run) [[unlikely]] {
      cache.refill(run);
      if (cache.count() < run) break;
    }
    const std::intptr_t i = Loop::take(fast_path,
                                       {.descriptors = ring.descriptors + first + run,
                                        .slots = ring.slots + first + run,
                                        .fresh = cache.objects() + run,
                                        .out = out + taken + run},
                                       -static_cast<std::intptr_t>(run));
    const std::uint32_t done = run + static_cast<std::uint32_t>(i);
    cache.set_first(cache.first + done);
    advance<Remote>(ring, first, done);
    taken += done;
    if (i != 0) {
      count_packets(ring, taken);
      if (!hw::intel::rx::done(io::load_acquire(ring.descriptors[first + done].hi))) return taken;
      return taken + rx_slow(ring, out + taken, limit - taken);
    }
  } while (taken < limit);
  count_packets(ring, taken);
  return taken == limit ? taken : taken + rx_slow(ring, out + taken, limit - taken);
}

// Exactly one frame has arrived: no loop and no copied constants. Saves nearly half of the cost at low rates.
template <bool Remote, bool OneDelta>
POLLUX_ALWAYS_INLINE bool rx_burst_one(RxRing& ring, Mbuf** out, std::uint32_t slot, std::uint64_t status) noexcept {
  const std::uint64_t excess = excess_of(ring.fast_path, status);
  MempoolCacheCore& cache = *ring.cache_;
  if (excess > ring.fast_path.max_excess || cache.first == MempoolCacheCore::kSlots) [[unlikely]]
    return false;
  forget_memory();  // what was compared is read again, so that no register has to be saved
  Mbuf** const slot_mbuf = ring.slots + slot;
  exchange<OneDelta>(ring.fast_path, ring.descriptors[slot], status, excess, *slot_mbuf, cache.mbufs[cache.first],
                     *out);
  prefetch_frame(slot_mbuf[RxRing::kPrefetchDistance]);
  // Bursts of several overlap the misses of their headers; single frames cannot.
  __builtin_prefetch(slot_mbuf[RxRing::kPrefetchDistance], 1, 3);
  add_to(cache.first, 1);
  count_packets(ring, 1);
  const std::uint32_t after = slot + 1;
  publish(ring.next, after & ring.mask);
  if ((after & ring.group_mask) != 0) return true;
  ring_doorbell<Remote>(ring, slot);
  // Single frames are prefetched beyond the end of the ring, too. The loops for several need not be.
  if (slot == RxRing::kGroup - 1) [[unlikely]]
    std::memcpy(ring.slots + ring.mask + 1, ring.slots, RxRing::kPrefetchDistance * sizeof(Mbuf*));
  return true;
}

/// One burst. `BurstLoop` takes whatever is not a single fast-path frame. `Remote`: registers are accessed through
/// functions, and an empty poll flushes their posted writes. `OneDelta`: IOVA minus address is the same for the whole
/// pool.
template <auto BurstLoop, bool Remote, bool OneDelta>
POLLUX_HOT std::uint32_t rx_burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  RxRing& ring = static_cast<RxRing&>(base);
  const std::uint32_t slot = ring.next;
  const std::uint64_t status = io::load_acquire(ring.descriptors[slot].hi);
  if (!hw::intel::rx::done(status)) {
    if constexpr (Remote) ring.tail.flush();
    return 0;
  }
  if (limit < 2 || !hw::intel::rx::done(io::load_acquire(ring.descriptors[(slot + 1) & ring.mask].hi))) {
    if (limit == 0) [[unlikely]]
      return 0;
    if (rx_burst_one<Remote, OneDelta>(ring, out, slot, status)) return 1;
  }
  return BurstLoop(ring, out, limit);
}

}  // namespace pollux::drivers::intel
