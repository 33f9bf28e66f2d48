// SPDX-License-Identifier: BSD-3-Clause
// The transmit fast path, from the application to the ring, and the return of sent buffers. It sends direct,
// single-segment mbufs of the cache's pool, with the header in their headroom: one descriptor each. tx_slow.cpp sends
// or drops all others.
#include <algorithm>
#include <cstring>

#include "base/compiler.hpp"
#include "drivers/virtio/queue/tx_queue.hpp"
#include "mem/ownership.hpp"

namespace pollux::drivers::virtio {
namespace {

/// The headroom that is cleared: a header of any kind ends where the frame begins.
constexpr std::uint32_t kCleared = 24;

POLLUX_ALWAYS_INLINE void put_fast(const SplitRing& ring, std::uint32_t slot, std::uint32_t entry, std::uint64_t iova,
                                   std::uint32_t length) noexcept {
  ring.descriptors[slot] = {.address = iova, .length = length, .flags = 0, .next = 0};
  ring.available[entry & ring.mask] = static_cast<std::uint16_t>(slot);
}
POLLUX_ALWAYS_INLINE void put_fast(const PackedRing& ring, std::uint32_t slot, std::uint32_t entry, std::uint64_t iova,
                                   std::uint32_t length) noexcept {
  ring.put(entry, iova, length, slot, 0);
}

}  // namespace

template <class Ring>
POLLUX_ALWAYS_INLINE void TxHotPath::reclaim(TxQueue& queue, MempoolCacheCore* cache) noexcept {
  const Ring& ring = ring_of<Ring>(queue);
  std::uint32_t ready = ring.ready(queue.used_);
  if (ready == 0 || queue.fault() != nullptr) return;
  if (ready > queue.entries_ - queue.used_) [[unlikely]]
    return end(queue, "more buffers than it had");
  do {
    const std::uint32_t id = ring.at(queue.used_).id;
    const std::uint32_t slot = queue.clean_ & queue.mask_;
    const std::uintptr_t frame = queue.slots_[slot];
    if (id == slot && (frame & kTags) == 0 && cache != nullptr) [[likely]] {
      cache->make_room(1);
      cache->mbufs[cache->first - 1] = reinterpret_cast<Mbuf*>(frame);
      cache->set_first(cache->first - 1);
      ++queue.clean_;
      ++queue.used_;
      --ready;
    } else {
      const std::uint32_t entries = reclaim_slow<Ring>(queue, id, cache);
      if (entries == 0) return;
      ready -= std::min(ready, entries);
    }
    // A packed ring shows one used entry at a time.
    if constexpr (std::is_same_v<Ring, PackedRing>) ready = queue.used_ != queue.next_ ? ring.ready(queue.used_) : 0;
  } while (ready != 0);
  advance(queue);
}

template <class Ring>
POLLUX_ALWAYS_INLINE std::uint32_t TxHotPath::send_fast(TxQueue& queue, Mbuf* const* mbufs,
                                                        std::uint32_t count) noexcept {
  if constexpr (ownership::kChecked) return 0;
  const Ring& ring = ring_of<Ring>(queue);
  const std::uint32_t mask = queue.mask_;
  const std::uint32_t header = queue.header_bytes_;
  const std::uint32_t direct = queue.direct_;
  const std::uint32_t max_excess = queue.max_excess_;
  const std::uint32_t shortest = header + queue.limits().min_frame;
  std::uintptr_t* const slots = queue.slots_;
  const std::uint32_t run = std::min(count, free_slots(queue));
  std::uint32_t next = queue.next_;
  std::uint32_t entry = queue.entries_;
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
    std::memset(frame.data() - kCleared, 0, kCleared);
    const std::uint32_t slot = next & mask;
    put_fast(ring, slot, entry, MbufAccess::iova(frame) + offset - header, excess + shortest);
    slots[slot] = reinterpret_cast<std::uintptr_t>(&frame);
    bytes += excess;
    ++next;
    ++entry;
  }
  queue.next_ = next;
  queue.entries_ = entry;
  queue.count_sent(bytes + std::uint64_t{i} * queue.limits().min_frame, i);
  return i;
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
    taken += send_fast<Ring>(queue, mbufs + taken, count - taken);
    if (taken == count || free_slots(queue) == 0) break;
    if (send_slow<Ring>(queue, mbufs[taken]) == Outcome::no_room) break;
    ++taken;
  }
  if (queue.entries_ != first) ring_of<Ring>(queue).publish(first, queue.entries_, queue.notifier_);
  queue.notifier_.flush();
  queue.count_taken(taken);
  return taken;
}

namespace {

POLLUX_HOT std::uint32_t burst_split(pollux::TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  return TxHotPath::burst<SplitRing>(queue, mbufs, count);
}
POLLUX_HOT std::uint32_t burst_packed(pollux::TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  return TxHotPath::burst<PackedRing>(queue, mbufs, count);
}

}  // namespace

pollux::TxQueue::BurstFunction* tx_burst_for(bool packed) noexcept { return packed ? &burst_packed : &burst_split; }

void reclaim_shared(TxQueue& queue, bool packed) noexcept {
  if (packed) return TxHotPath::reclaim<PackedRing>(queue, nullptr);
  TxHotPath::reclaim<SplitRing>(queue, nullptr);
}

}  // namespace pollux::drivers::virtio
