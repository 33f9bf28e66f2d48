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

/// Frames that are freed at once.
constexpr std::uint32_t kGroup = 32;

}  // namespace

// What is inlined from here on has external linkage: otherwise GCC 12 saves more registers in bursts.

// Direct mbufs of the cache's pool, used in the order in which they were sent: only pointers are moved.
template <class Ring>
POLLUX_ALWAYS_INLINE std::uint32_t tx_reclaim_fast(TxVirtqueue& queue, MempoolCacheCore& cache,
                                                   std::uint32_t ready) noexcept {
  const Ring& ring = queue.ring<Ring>();
  const std::uint32_t clean = queue.clean;
  const std::uint32_t used = queue.used;
  const std::uint32_t slot = clean & ring.mask;
  // Up to the end of the ring, of both the slots and the entries.
  const std::uint32_t most =
      std::min({ready, kGroup, queue.next - clean, ring.mask + 1 - std::max(slot, used & ring.mask)});
  const UsedRunOf<Ring> run(ring, used, slot);
  const std::uintptr_t* const held = queue.slots.get() + slot;
  cache.make_room(kGroup);
  Mbuf** to = cache.objects();
  std::uint32_t i = 0;
  for (; i < most; ++i) {
    const std::uintptr_t frame = held[i];
    if (!run.is_used(i) || (frame & TxVirtqueue::kTags) != 0) break;
    *--to = reinterpret_cast<Mbuf*>(frame);
  }
  cache.set_first(cache.first - i);
  queue.clean = clean + i;
  queue.pass_used(i);
  return i;
}

/// Frees the frames that the device has sent, to `cache` if it is not null.
template <class Ring>
POLLUX_ALWAYS_INLINE void tx_reclaim(TxVirtqueue& queue, MempoolCacheCore* cache) noexcept {
  const Ring& ring = queue.ring<Ring>();
  std::uint32_t ready = ring.ready(queue.used);
  if (queue.fault() != nullptr) return;
  if (ready == 0) {
    if constexpr (std::is_same_v<Ring, PackedRing>) {
      if (queue.used != queue.next && ring.is_of_another_lap(queue.used)) [[unlikely]]
        queue.end("an entry of another lap of the ring");
    }
    return;
  }
  if (ready > queue.entries - queue.used) [[unlikely]]
    return queue.end("more buffers than it had");
  constexpr bool kPacked = std::is_same_v<Ring, PackedRing>;
  do {
    const std::uint32_t freed = cache != nullptr ? tx_reclaim_fast<Ring>(queue, *cache, kPacked ? kGroup : ready) : 0;
    if (freed == 0) {
      const std::uint32_t entries = tx_reclaim_slow<Ring>(queue, ring.at(queue.used).id, cache);
      if (entries == 0) return;
      ready -= std::min(ready, entries);
    } else {
      ready -= std::min(ready, freed);
    }
    // A packed ring shows one used entry at a time.
    if constexpr (kPacked) ready = queue.used != queue.next ? ring.ready(queue.used) : 0;
  } while (ready != 0);
  queue.advance();
  queue.note_sent(queue.clean, queue.next);
}

template <class Ring>
POLLUX_NOINLINE void tx_reclaim_apart(TxVirtqueue& queue) noexcept {
  tx_reclaim<Ring>(queue, queue.sent_cache);
}

/// `kOne`: there is one frame.
template <class Ring, bool kOne>
POLLUX_ALWAYS_INLINE std::uint32_t tx_send_fast(TxVirtqueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  if constexpr (ownership::kChecked) return 0;
  const Ring& ring = queue.ring<Ring>();
  const std::uint32_t first = queue.next & ring.mask;
  const std::uint32_t free = ring.mask + 1 - queue.in_flight();
  if (kOne && free == 0) return 0;
  const std::uint32_t run = kOne ? 1 : std::min({count, free, ring.mask + 1 - first});
  const TxRunOf<Ring> slots(ring, queue.next, queue.entries);
  std::uintptr_t* const held = queue.slots.get() + first;
  const std::uint32_t header = queue.header_bytes;
  const std::uint32_t direct = queue.direct;
  const std::uint32_t max_excess = queue.max_excess;
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
  queue.next += i;
  queue.add_entries(i);
  queue.count_sent(bytes + std::uint64_t{i} * queue.limits().min_frame, i);
  return i;
}

/// A burst of one fast-path frame. False, with nothing sent: `tx_burst` has to look. Without loops. Sent buffers are
/// freed out of line, which needs most registers.
template <class Ring>
POLLUX_ALWAYS_INLINE bool tx_burst_one(TxVirtqueue& queue, Mbuf* const* frame) noexcept {
  const Ring& ring = queue.ring<Ring>();
  if (queue.used != queue.next && !ring.is_unused(queue.used)) tx_reclaim_apart<Ring>(queue);
  const std::uint32_t first = queue.entries;
  if (queue.fault() != nullptr || tx_send_fast<Ring, true>(queue, frame, 1) == 0) [[unlikely]]
    return false;
  ring.publish(first, first + 1, queue.used, queue.notifier);
  queue.notifier.flush();
  queue.count_taken(1);
  return true;
}

/// One burst: runs of fast-path frames, and between them frames that need the slow path.
template <class Ring>
POLLUX_ALWAYS_INLINE std::uint32_t tx_burst(TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  auto& queue = static_cast<TxVirtqueue&>(base);
  const std::uint32_t in_flight = queue.in_flight();
  tx_reclaim<Ring>(queue, queue.sent_cache);
  if (count == 0 || queue.fault() != nullptr) [[unlikely]] {
    queue.notifier.flush();
    return mbufs == nullptr ? in_flight - queue.in_flight() : 0;
  }
  const std::uint32_t first = queue.entries;
  std::uint32_t taken = 0;
  while (taken < count) {
    const std::uint32_t sent = tx_send_fast<Ring, false>(queue, mbufs + taken, count - taken);
    taken += sent;
    if (taken == count || queue.free_slots() == 0) break;
    if (sent != 0) continue;  // the end of the ring, or a frame of another kind
    if (tx_send_slow<Ring>(queue, mbufs[taken]) == TxOutcome::no_room) break;
    ++taken;
  }
  if (queue.entries != first) queue.ring<Ring>().publish(first, queue.entries, queue.used, queue.notifier);
  queue.notifier.flush();
  queue.count_taken(taken);
  return taken;
}

namespace {

template <class Ring>
POLLUX_HOT POLLUX_NOINLINE std::uint32_t tx_burst_loop(TxQueue& queue, Mbuf* const* mbufs,
                                                       std::uint32_t count) noexcept {
  return tx_burst<Ring>(queue, mbufs, count);
}
template <class Ring>
POLLUX_HOT POLLUX_NOINLINE std::uint32_t tx_burst_single(TxQueue& queue, Mbuf* const* frame) noexcept {
  if (tx_burst_one<Ring>(static_cast<TxVirtqueue&>(queue), frame)) [[likely]]
    return 1;
  return tx_burst_loop<Ring>(queue, frame, 1);
}
// As with a receive burst of one.
template <class Ring>
POLLUX_HOT std::uint32_t tx_burst_any(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  return count == 1 ? tx_burst_single<Ring>(queue, mbufs) : tx_burst_loop<Ring>(queue, mbufs, count);
}

}  // namespace

TxQueue::BurstFunction* tx_burst_for(bool packed) noexcept {
  return packed ? &tx_burst_any<PackedRing> : &tx_burst_any<SplitRing>;
}

void tx_reclaim_shared(TxVirtqueue& queue, bool packed) noexcept {
  if (packed) return tx_reclaim<PackedRing>(queue, nullptr);
  tx_reclaim<SplitRing>(queue, nullptr);
}

}  // namespace pollux::drivers::virtio
