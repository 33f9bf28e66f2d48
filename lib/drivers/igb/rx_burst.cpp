// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <bit>

#include "base/compiler.hpp"
#include "drivers/igb/rx_hot_path.hpp"
#include "pollux/base/io.hpp"

namespace pollux::igb {

namespace rx = hw::igb::rx;
using hw::igb::Descriptor;

// Kept in registers: the compiler must assume that a store through an mbuf changes the queue.
struct RxHotPath::Constants {
  explicit Constants(const RxQueue& queue) noexcept
      : wanted(queue.wanted_),
        max_length(queue.max_length_),
        fresh_word(queue.fresh_word_),
        iova_delta(queue.iova_delta_) {}
  std::uint64_t wanted;
  std::uint64_t max_length;
  std::uint64_t fresh_word;
  std::uint64_t iova_delta;
};

// Takes a plain frame out of its slot and arms the slot with `fresh`. False, with nothing changed, for anything else.
template <bool OneDelta>
POLLUX_ALWAYS_INLINE bool RxHotPath::take_plain(const Constants& constants, Descriptor& descriptor,
                                                std::uint64_t status, Mbuf*& slot, Mbuf* fresh, Mbuf*& out) noexcept {
  // One unsigned comparison for all that can be wrong: any unexpected status bit lands above the length, and a length
  // of 0 wraps round.
  const std::uint64_t length = std::rotl((status & kInspected) ^ constants.wanted, 32);
  if (length - 1 >= constants.max_length) [[unlikely]]
    return false;
  Mbuf& received = *slot;
  MbufAccess::rx_low(received) = __atomic_load_n(&descriptor.lo, __ATOMIC_RELAXED);
  MbufAccess::rx_high(received) = status;
  MbufAccess::set_word(received, length | constants.fresh_word);
  out = &received;
  slot = fresh;
  if constexpr (OneDelta) {
    descriptor = rx::armed(reinterpret_cast<std::uintptr_t>(fresh) + constants.iova_delta);
  } else {
    descriptor = rx::armed(MbufAccess::iova(*fresh) + (constants.fresh_word >> MbufAccess::kOffsetShift & 0xFFFF));
  }
  return true;
}

// Starts the way of a coming frame's first line from memory: a frame lies a header and its headroom behind its mbuf,
// and with another headroom the line is a near one.
POLLUX_ALWAYS_INLINE void prefetch_frame(const Mbuf* mbuf) noexcept {
  __builtin_prefetch(reinterpret_cast<const std::byte*>(mbuf) + 2 * Mbuf::kHeaderSize, 1, 3);
}

// Exactly one frame has come: no loop, nothing to keep in registers. Saves a quarter of the cost at low rates.
template <bool Remote, bool OneDelta>
POLLUX_ALWAYS_INLINE bool RxHotPath::single(RxQueue& queue, Mbuf** out, std::uint64_t status) noexcept {
  MempoolCacheCore& cache = *queue.cache_;
  const std::uint32_t stock = cache.count;
  Mbuf** const slot = queue.slots_ + queue.next_;
  prefetch_frame(slot[kLookAhead]);
  if (stock == 0 || !take_plain<OneDelta>(Constants(queue), queue.ring_[queue.next_], status, *slot,
                                          cache.mbufs[stock - 1], *out)) [[unlikely]] {
    return false;
  }
  cache.set_count(stock - 1);
  bump(queue.packets_, std::uint64_t{1});
  advance<Remote>(queue, 1);
  return true;
}

template <bool Remote, bool OneDelta>
POLLUX_HOT std::uint32_t RxHotPath::several(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept {
  // More than this at once would ask a cache for more than it holds.
  constexpr std::uint32_t kMost = MempoolCache::kMaxCapacity / 2;
  MempoolCacheCore& cache = *queue.cache_;
  std::uint32_t taken = 0;
  while (taken < limit) {
    const std::uint32_t first = queue.next_;
    const std::uint32_t run = std::min({limit - taken, queue.mask_ + 1 - first, kMost});
    if (cache.count < run) [[unlikely]] {
      cache.refill(run);
      if (cache.count < run) break;
    }
    const Constants constants(queue);
    Descriptor* descriptor = queue.ring_ + first;
    Mbuf** const slots_end = queue.slots_ + first + run;
    Mbuf** const out_end = out + taken + run;
    Mbuf** fresh = cache.mbufs.data() + cache.count;
    std::intptr_t i = -static_cast<std::intptr_t>(run);
    do {
      const std::uint64_t status = io::load_acquire(descriptor->hi);
      if (!take_plain<OneDelta>(constants, *descriptor, status, slots_end[i], fresh[-1], out_end[i])) break;
      prefetch_frame(slots_end[i + kLookAhead]);
      --fresh;
      ++descriptor;
    } while (++i != 0);
    const std::uint32_t done = run + static_cast<std::uint32_t>(i);
    cache.set_count(cache.count - done);
    advance<Remote>(queue, done);
    taken += done;
    if (i != 0) {
      bump(queue.packets_, std::uint64_t{taken});
      if (!rx::done(io::load_acquire(descriptor->hi))) return taken;
      return taken + careful(queue, out + taken, limit - taken);
    }
  }
  bump(queue.packets_, std::uint64_t{taken});
  return taken == limit ? taken : taken + careful(queue, out + taken, limit - taken);
}

template <bool Remote, bool OneDelta>
POLLUX_HOT std::uint32_t RxHotPath::burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  RxQueue& queue = static_cast<RxQueue&>(base);
  const std::uint32_t slot = queue.next_;
  const std::uint64_t status = io::load_acquire(queue.ring_[slot].hi);
  if (!rx::done(status)) {
    if constexpr (Remote) queue.tail_.flush();
    return 0;
  }
  if (limit < 2 || !rx::done(io::load_acquire(queue.ring_[(slot + 1) & queue.mask_].hi))) {
    if (limit == 0) [[unlikely]]
      return 0;
    if (single<Remote, OneDelta>(queue, out, status)) return 1;
  }
  return several<Remote, OneDelta>(queue, out, limit);
}

template std::uint32_t RxHotPath::burst<false, false>(pollux::RxQueue&, Mbuf**, std::uint32_t) noexcept;
template std::uint32_t RxHotPath::burst<false, true>(pollux::RxQueue&, Mbuf**, std::uint32_t) noexcept;
template std::uint32_t RxHotPath::burst<true, false>(pollux::RxQueue&, Mbuf**, std::uint32_t) noexcept;
template std::uint32_t RxHotPath::burst<true, true>(pollux::RxQueue&, Mbuf**, std::uint32_t) noexcept;

}  // namespace pollux::igb
