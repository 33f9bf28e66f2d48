// SPDX-License-Identifier: BSD-3-Clause
// The transmit fast path, from the application to the ring, and the return of sent buffers. It sends direct,
// single-segment mbufs of the cache's pool, with the header in their headroom: one descriptor each. tx_slow.cpp sends
// or drops all others.
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "base/compiler.hpp"
#include "drivers/virtio/queue/tx_queue.hpp"
#include "mem/ownership.hpp"

namespace pollux::drivers::virtio {
namespace {

/// The headroom that is cleared: a header of any kind ends where the frame begins.
constexpr std::uint32_t kCleared = 24;

/// A run of consecutive slots to write, from `first` on.
struct SplitTxRun {
  hw::virtio::SplitDescriptor* descriptors;
  std::uint16_t* available;
  std::uint32_t first;
  std::uint32_t entry;
  std::uint32_t mask;

  SplitTxRun(const SplitRing& ring, std::uint32_t position, std::uint32_t entries) noexcept
      : descriptors(ring.descriptors + (position & ring.mask)),
        available(ring.available),
        first(position & ring.mask),
        entry(entries),
        mask(ring.mask) {}

  POLLUX_ALWAYS_INLINE void put(std::uint32_t i, std::uint64_t iova, std::uint64_t length) const noexcept {
    const std::uint64_t words[2] = {iova, length};
    std::memcpy(descriptors + i, words, sizeof words);
    available[(entry + i) & mask] = static_cast<std::uint16_t>(first + i);
  }
};

struct PackedTxRun {
  hw::virtio::PackedDescriptor* descriptors;
  std::uint64_t word;  ///< of the first descriptor, without its length

  PackedTxRun(const PackedRing& ring, std::uint32_t position, std::uint32_t /*entries*/) noexcept
      : descriptors(ring.descriptors + (position & ring.mask)),
        word(PackedRing::word(0, position & ring.mask, hw::virtio::packed_available(ring.wrap(position)))) {}

  POLLUX_ALWAYS_INLINE void put(std::uint32_t i, std::uint64_t iova, std::uint64_t length) const noexcept {
    descriptors[i].address = iova;
    io::io_wmb();
    auto* const second = reinterpret_cast<std::uint64_t*>(descriptors + i) + 1;
    __atomic_store_n(second, word + (std::uint64_t{i} << 32) + length, __ATOMIC_RELEASE);
  }
};

/// A run of consecutive used entries, from position `used` on, of the frames in consecutive slots, from `slot` on.
struct SplitUsedRun {
  const hw::virtio::UsedElement* used;
  std::uint32_t slot;

  SplitUsedRun(const SplitRing& ring, std::uint32_t position, std::uint32_t first) noexcept
      : used(ring.used + (position & ring.mask)), slot(first) {}

  /// Whether entry `i` is that of the frame. That it is used is known.
  [[nodiscard]] POLLUX_ALWAYS_INLINE bool is_used(std::uint32_t i) const noexcept { return used[i].id == slot + i; }
};

struct PackedUsedRun {
  const hw::virtio::PackedDescriptor* descriptors;
  std::uint64_t expected;  ///< what is compared of the first entry's word

  PackedUsedRun(const PackedRing& ring, std::uint32_t position, std::uint32_t first) noexcept
      : descriptors(ring.descriptors + (position & ring.mask)),
        expected(ring.used_bits(position) | std::uint64_t{first} << 32) {}

  /// Whether entry `i` is used, and is that of the frame.
  [[nodiscard]] POLLUX_ALWAYS_INLINE bool is_used(std::uint32_t i) const noexcept {
    constexpr std::uint64_t kCompared = PackedRing::kUsedBits | std::uint64_t{0xFFFF} << 32;
    const auto* const word = reinterpret_cast<const std::uint64_t*>(descriptors + i) + 1;
    return (io::load_acquire(*word) & kCompared) == expected + (std::uint64_t{i} << 32);
  }
};

template <class Ring>
using TxRunOf = std::conditional_t<std::is_same_v<Ring, SplitRing>, SplitTxRun, PackedTxRun>;
template <class Ring>
using UsedRunOf = std::conditional_t<std::is_same_v<Ring, SplitRing>, SplitUsedRun, PackedUsedRun>;

}  // namespace

// Direct mbufs of the cache's pool, used in the order in which they were sent: only pointers are moved.
template <class Ring>
POLLUX_ALWAYS_INLINE std::uint32_t TxHotPath::reclaim_fast(TxQueue& queue, MempoolCacheCore& cache,
                                                           std::uint32_t ready) noexcept {
  const Ring& ring = ring_of<Ring>(queue);
  const std::uint32_t clean = queue.clean_;
  const std::uint32_t used = queue.used_;
  const std::uint32_t slot = clean & ring.mask;
  // Up to the end of the ring, of both the slots and the entries.
  const std::uint32_t most =
      std::min({ready, kGroup, queue.next_ - clean, ring.mask + 1 - std::max(slot, used & ring.mask)});
  const UsedRunOf<Ring> run(ring, used, slot);
  const std::uintptr_t* const held = queue.slots_ + slot;
  cache.make_room(kGroup);
  Mbuf** to = cache.objects();
  std::uint32_t i = 0;
  for (; i < most; ++i) {
    const std::uintptr_t frame = held[i];
    if (!run.is_used(i) || (frame & kTags) != 0) break;
    *--to = reinterpret_cast<Mbuf*>(frame);
  }
  cache.set_first(cache.first - i);
  queue.clean_ = clean + i;
  queue.used_ = used + i;
  return i;
}

template <class Ring>
POLLUX_ALWAYS_INLINE void TxHotPath::reclaim(TxQueue& queue, MempoolCacheCore* cache) noexcept {
  const Ring& ring = ring_of<Ring>(queue);
  std::uint32_t ready = ring.ready(queue.used_);
  if (queue.fault() != nullptr) return;
  if (ready == 0) {
    if constexpr (std::is_same_v<Ring, PackedRing>) {
      if (queue.used_ != queue.next_ && ring.is_of_another_lap(queue.used_)) [[unlikely]]
        end(queue, "an entry of another lap of the ring");
    }
    return;
  }
  if (ready > queue.entries_ - queue.used_) [[unlikely]]
    return end(queue, "more buffers than it had");
  constexpr bool kPacked = std::is_same_v<Ring, PackedRing>;
  do {
    const std::uint32_t freed = cache != nullptr ? reclaim_fast<Ring>(queue, *cache, kPacked ? kGroup : ready) : 0;
    if (freed == 0) {
      const std::uint32_t entries = reclaim_slow<Ring>(queue, ring.at(queue.used_).id, cache);
      if (entries == 0) return;
      ready -= std::min(ready, entries);
    } else {
      ready -= std::min(ready, freed);
    }
    // A packed ring shows one used entry at a time.
    if constexpr (kPacked) ready = queue.used_ != queue.next_ ? ring.ready(queue.used_) : 0;
  } while (ready != 0);
  advance(queue);
}

template <class Ring>
POLLUX_NOINLINE void TxHotPath::reclaim_apart(TxQueue& queue) noexcept {
  reclaim<Ring>(queue, queue.cache_);
}

template <class Ring, bool kOne>
POLLUX_ALWAYS_INLINE std::uint32_t TxHotPath::send_fast(TxQueue& queue, Mbuf* const* mbufs,
                                                        std::uint32_t count) noexcept {
  if constexpr (ownership::kChecked) return 0;
  const Ring& ring = ring_of<Ring>(queue);
  const std::uint32_t first = queue.next_ & ring.mask;
  const std::uint32_t free = ring.mask + 1 - queue.in_flight();
  if (kOne && free == 0) return 0;
  const std::uint32_t run = kOne ? 1 : std::min({count, free, ring.mask + 1 - first});
  const TxRunOf<Ring> slots(ring, queue.next_, queue.entries_);
  std::uintptr_t* const held = queue.slots_ + first;
  const std::uint32_t header = queue.header_bytes_;
  const std::uint32_t direct = queue.direct_;
  const std::uint32_t max_excess = queue.max_excess_;
  const std::uint64_t shortest = header + queue.limits().min_frame;
  std::uint64_t bytes = 0;
  std::uint32_t i = 0;
  for (; i < run; ++i) {
    Mbuf& frame = *mbufs[i];
    // One comparison covers length, pool and `special`, which are adjacent in the mbuf.
    const std::uint64_t word = MbufAccess::word(frame);
    const std::uint32_t excess = static_cast<std::uint32_t>(word) - direct;
    const std::uint32_t offset = word >> MbufAccess::kOffsetShift & 0xFFFF;
    if (excess > max_excess || offset < kCleared) [[unlikely]]
      break;
    std::memset(MbufAccess::buffer(frame) + offset - kCleared, 0, kCleared);
    slots.put(i, MbufAccess::iova(frame) + offset - header, excess + shortest);
    held[i] = reinterpret_cast<std::uintptr_t>(&frame);
    bytes += excess;
  }
  queue.next_ += i;
  queue.entries_ += i;
  queue.count_sent(bytes + std::uint64_t{i} * queue.limits().min_frame, i);
  return i;
}

// Without loops. Sent buffers are freed out of line, which needs most registers.
template <class Ring>
POLLUX_ALWAYS_INLINE bool TxHotPath::burst_one(TxQueue& queue, Mbuf* const* frame) noexcept {
  const Ring& ring = ring_of<Ring>(queue);
  if (queue.used_ != queue.next_ && !ring.is_unused(queue.used_)) reclaim_apart<Ring>(queue);
  const std::uint32_t first = queue.entries_;
  if (queue.fault() != nullptr || send_fast<Ring, true>(queue, frame, 1) == 0) [[unlikely]]
    return false;
  ring.publish(first, first + 1, queue.used_, queue.notifier_);
  queue.notifier_.flush();
  queue.count_taken(1);
  return true;
}

template <class Ring>
POLLUX_ALWAYS_INLINE std::uint32_t TxHotPath::burst(pollux::TxQueue& base, Mbuf* const* mbufs,
                                                    std::uint32_t count) noexcept {
  auto& queue = static_cast<TxQueue&>(base);
  const std::uint32_t in_flight = queue.in_flight();
  reclaim<Ring>(queue, queue.cache_);
  if (count == 0 || queue.fault() != nullptr) [[unlikely]] {
    queue.notifier_.flush();
    return mbufs == nullptr ? in_flight - queue.in_flight() : 0;
  }
  const std::uint32_t first = queue.entries_;
  std::uint32_t taken = 0;
  while (taken < count) {
    const std::uint32_t sent = send_fast<Ring, false>(queue, mbufs + taken, count - taken);
    taken += sent;
    if (taken == count || free_slots(queue) == 0) break;
    if (sent != 0) continue;  // the end of the ring, or a frame of another kind
    if (send_slow<Ring>(queue, mbufs[taken]) == Outcome::no_room) break;
    ++taken;
  }
  if (queue.entries_ != first) ring_of<Ring>(queue).publish(first, queue.entries_, queue.used_, queue.notifier_);
  queue.notifier_.flush();
  queue.count_taken(taken);
  return taken;
}

namespace {

template <class Ring>
POLLUX_HOT POLLUX_NOINLINE std::uint32_t burst_loop(pollux::TxQueue& queue, Mbuf* const* mbufs,
                                                    std::uint32_t count) noexcept {
  return TxHotPath::burst<Ring>(queue, mbufs, count);
}
template <class Ring>
POLLUX_HOT POLLUX_NOINLINE std::uint32_t burst_single(pollux::TxQueue& queue, Mbuf* const* frame) noexcept {
  if (TxHotPath::burst_one<Ring>(static_cast<TxQueue&>(queue), frame)) [[likely]]
    return 1;
  return burst_loop<Ring>(queue, frame, 1);
}
// As with a receive burst of one.
template <class Ring>
POLLUX_HOT std::uint32_t burst_any(pollux::TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  return count == 1 ? burst_single<Ring>(queue, mbufs) : burst_loop<Ring>(queue, mbufs, count);
}

}  // namespace

pollux::TxQueue::BurstFunction* tx_burst_for(bool packed) noexcept {
  return packed ? &burst_any<PackedRing> : &burst_any<SplitRing>;
}

void reclaim_shared(TxQueue& queue, bool packed) noexcept {
  if (packed) return TxHotPath::reclaim<PackedRing>(queue, nullptr);
  TxHotPath::reclaim<SplitRing>(queue, nullptr);
}

}  // namespace pollux::drivers::virtio
