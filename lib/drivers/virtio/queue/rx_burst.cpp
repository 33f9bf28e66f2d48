// SPDX-License-Identifier: BSD-3-Clause
// The receive fast path, from the ring to the application. It takes frames in one buffer whose header asks for nothing,
// from a device that filters frames and uses buffers in the order in which they were posted. rx_slow.cpp takes all
// others.
#include <algorithm>
#include <bit>
#include <cstring>

#include "base/compiler.hpp"
#include "drivers/virtio/queue/rx_queue.hpp"
#include "hw/virtio/net.hpp"
#include "net/frame_size.hpp"

namespace pollux::drivers::virtio {
namespace {

/// The header of a fast-path frame, which has no hash.
constexpr std::uint32_t kHeaderBytes = sizeof(hw::virtio::NetHeader);

/// Prefetches the header and the first line of a frame that is expected soon: with the usual headroom, two lines. With
/// another one, neighbouring lines are prefetched.
POLLUX_ALWAYS_INLINE void prefetch_frame(const Mbuf* mbuf) noexcept {
  constexpr std::size_t kHeadroom = 128;  // unless MempoolOptions::headroom says otherwise
  const std::byte* const frame = reinterpret_cast<const std::byte*>(mbuf) + Mbuf::kHeaderSize + kHeadroom;
  __builtin_prefetch(frame - kHeaderBytes, 1, 3);
  __builtin_prefetch(frame, 1, 3);
}

/// A run of consecutive slots, from `first` on.
struct SplitRun {
  const hw::virtio::UsedElement* used;
  hw::virtio::SplitDescriptor* descriptors;
  std::uint64_t expected;  ///< the first used entry, for the shortest frame

  SplitRun(const SplitRing& ring, std::uint32_t position, const RxFastPath& fast_path) noexcept
      : used(ring.used + (position & ring.mask)),
        descriptors(ring.descriptors + (position & ring.mask)),
        expected(fast_path.shortest << 32 | (position & ring.mask)) {}

  /// The length of frame `i` above the shortest. Any other id, or a shorter frame, leaves more than any length.
  [[nodiscard]] POLLUX_ALWAYS_INLINE std::uint64_t excess(std::uint32_t i) const noexcept {
    std::uint64_t entry;
    std::memcpy(&entry, used + i, sizeof entry);
    return std::rotl(entry - (expected + i), 32);
  }
  POLLUX_ALWAYS_INLINE void post(std::uint32_t i, std::uint64_t iova) const noexcept { descriptors[i].address = iova; }
};

struct PackedRun {
  hw::virtio::PackedDescriptor* descriptors;
  std::uint64_t expected;
  std::uint64_t fresh;  ///< the first descriptor's word with a new buffer

  PackedRun(const PackedRing& ring, std::uint32_t position, const RxFastPath& fast_path) noexcept
      : descriptors(ring.descriptors + (position & ring.mask)),
        expected(PackedRing::word(fast_path.shortest, position & ring.mask, 0) | ring.used_bits(position)),
        fresh(PackedRing::word(fast_path.room, position & ring.mask,
                               hw::virtio::kDescWrite | hw::virtio::packed_available(!ring.wrap(position)))) {}

  [[nodiscard]] POLLUX_ALWAYS_INLINE std::uint64_t* word(std::uint32_t i) const noexcept {
    return reinterpret_cast<std::uint64_t*>(descriptors + i) + 1;
  }
  // The other flags of a used descriptor say nothing.
  [[nodiscard]] POLLUX_ALWAYS_INLINE std::uint64_t excess(std::uint32_t i) const noexcept {
    constexpr std::uint64_t kFlags = std::uint64_t{0xFFFF} << 48;
    return (io::load_acquire(*word(i)) & (PackedRing::kUsedBits | ~kFlags)) - expected;
  }
  /// Posts slot `i` again, and moves on to the id of the next one.
  POLLUX_ALWAYS_INLINE void post(std::uint32_t i, std::uint64_t iova) noexcept {
    constexpr std::uint64_t kNextId = std::uint64_t{1} << 32;
    descriptors[i].address = iova;
    io::io_wmb();
    __atomic_store_n(word(i), fresh, __ATOMIC_RELEASE);
    fresh += kNextId;
    expected += kNextId;
  }
};

template <class Ring>
using RunOf = std::conditional_t<std::is_same_v<Ring, SplitRing>, SplitRun, PackedRun>;

/// The most slots that a run may have. More than the ring has are a lie, which the slow path reports.
POLLUX_ALWAYS_INLINE std::uint32_t ready_for_run(const SplitRing& ring, std::uint32_t next) noexcept {
  const std::uint32_t ready = ring.ready(next);
  return ready <= ring.mask + 1 ? ready : 0;
}
POLLUX_ALWAYS_INLINE std::uint32_t ready_for_run(const PackedRing& ring, std::uint32_t next) noexcept {
  return ring.ready(next) != 0 ? ring.mask + 1 : 0;
}
/// Whether `excess` of a run's first slot means something. The entry of a packed ring says itself that it is used.
POLLUX_ALWAYS_INLINE bool may_be_used(const SplitRing& ring, std::uint32_t next) noexcept {
  return ready_for_run(ring, next) != 0;
}
POLLUX_ALWAYS_INLINE bool may_be_used(const PackedRing& /*ring*/, std::uint32_t /*next*/) noexcept { return true; }

/// Takes frame `i` of a run out of `slot`, and posts it again with `fresh`. `excess`: its length above the shortest.
/// Returns the first byte of the frame; nullptr, with nothing changed, if the frame needs the slow path.
template <class Run>
POLLUX_ALWAYS_INLINE const std::uint8_t* take_frame(const RxFastPath& fast_path, Run& run, std::uint32_t i,
                                                    std::uint64_t excess, Mbuf*& slot, Mbuf* fresh,
                                                    Mbuf*& out) noexcept {
  Mbuf& received = *slot;
  const std::byte* const header = reinterpret_cast<const std::byte*>(&received) + fast_path.header_at;
  std::uint64_t low;
  std::uint32_t high;
  std::memcpy(&low, header, sizeof low);
  std::memcpy(&high, header + sizeof low, sizeof high);
  const std::uint64_t header_bits = std::uint64_t{high} << 32 | (low & 0xFFFFFFFF);
  if ((header_bits & fast_path.header_mask) != fast_path.header) [[unlikely]]
    return nullptr;
  MbufAccess::rx_low(received) = low;
  MbufAccess::rx_high(received) = high;
  MbufAccess::set_word(received, excess + fast_path.word);
  out = &received;
  slot = fresh;
  run.post(i, MbufAccess::iova(*fresh) + fast_path.iova_at);
  return reinterpret_cast<const std::uint8_t*>(header) + kHeaderBytes;
}

}  // namespace

// What is inlined from here on has external linkage: otherwise GCC 12 saves more registers in bursts.

template <class Ring>
POLLUX_ALWAYS_INLINE std::uint32_t rx_take_fast(RxVirtqueue& queue, Mbuf** out, std::uint32_t limit) noexcept {
  constexpr std::uint32_t kMaxRun = MempoolCache::kMaxCapacity / 2;
  const std::uint32_t position = queue.next;
  const std::uint32_t first = position & queue.mask;
  const Ring& ring = queue.ring<Ring>();
  MempoolCacheCore& cache = *queue.cache_;
  std::uint32_t run = std::min({limit, queue.mask + 1 - first, kMaxRun, ready_for_run(ring, position)});
  if (run == 0) return 0;
  if (cache.count() < run) [[unlikely]] {
    cache.refill(run);
    run = std::min(run, cache.count());
  }
  // A copy stays in registers: no store to an mbuf can alias it.
  const RxFastPath fast_path = queue.fast_path;
  RunOf<Ring> slots(ring, position, fast_path);
  const std::uint64_t max_excess = std::min(queue.filter().longest() - kEthernetHeaderBytes, fast_path.max_excess);
  Mbuf** const held = queue.slots + first;
  Mbuf* const* const fresh = cache.objects();
  std::uint64_t bytes = 0;
  std::uint32_t multicasts = 0;
  std::uint32_t i = 0;
  for (; i < run; ++i) {
    const std::uint64_t excess = slots.excess(i);
    if (excess > max_excess) [[unlikely]]
      break;
    const std::uint8_t* const frame = take_frame(fast_path, slots, i, excess, held[i], fresh[i], out[i]);
    if (frame == nullptr) [[unlikely]]
      break;
    prefetch_frame(held[i + RxVirtqueue::kPrefetchDistance]);
    if (RxFilter::is_multicast(frame)) [[unlikely]] {
      queue.count_arrival(frame, static_cast<std::uint32_t>(excess + fast_path.shortest) - kHeaderBytes);
      bytes -= excess;
      ++multicasts;
    }
    bytes += excess;
  }
  if (first == 0) [[unlikely]]
    queue.repeat_first_slots();
  cache.set_first(cache.first + i);
  queue.next = position + i;
  const std::uint64_t others = i - multicasts;
  queue.count_arrivals(others, bytes + others * (fast_path.shortest - kHeaderBytes));
  return i;
}

/// Shows the device the buffers that have been posted from position `first` of the used entries on.
template <class Ring>
POLLUX_ALWAYS_INLINE void publish(RxVirtqueue& queue, std::uint32_t first) noexcept {
  const Ring& ring = queue.ring<Ring>();
  const std::uint32_t size = ring.mask + 1;
  if constexpr (std::is_same_v<Ring, SplitRing>) queue.published = queue.next + size;
  ring.publish(first + size, queue.next + size, queue.next, queue.notifier);
}

/// A burst of one fast-path frame. False, with nothing taken: `rx_burst` has to look. No loop and no copied constants.
template <class Ring>
POLLUX_ALWAYS_INLINE bool rx_burst_one(RxVirtqueue& queue, Mbuf*& out) noexcept {
  MempoolCacheCore& cache = *queue.cache_;
  const Ring& ring = queue.ring<Ring>();
  const std::uint32_t position = queue.next;
  if (!queue.fast || !queue.filter().promiscuous() || cache.count() == 0 || !may_be_used(ring, position)) return false;
  const RxFastPath& fast_path = queue.fast_path;
  RunOf<Ring> slots(ring, position, fast_path);
  const std::uint64_t excess = slots.excess(0);
  const std::uint32_t bytes = static_cast<std::uint32_t>(excess) + kEthernetHeaderBytes;
  if (excess > fast_path.max_excess || bytes > queue.filter().longest()) [[unlikely]]
    return false;
  const std::uint8_t* const frame =
      take_frame(fast_path, slots, 0, excess, queue.slots[position & ring.mask], *cache.objects(), out);
  if (frame == nullptr) [[unlikely]]
    return false;
  prefetch_frame(queue.slots[(position + RxVirtqueue::kPrefetchDistance) & ring.mask]);
  add_to(cache.first, 1);
  queue.next = position + 1;
  queue.count_arrival(frame, bytes);
  publish<Ring>(queue, position);
  queue.count_returned(1);
  return true;
}

/// One burst: runs of fast-path frames, and between them frames that need the slow path.
template <class Ring>
POLLUX_ALWAYS_INLINE std::uint32_t rx_burst(RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  auto& queue = static_cast<RxVirtqueue&>(base);
  const std::uint32_t first = queue.next;
  std::uint32_t taken = 0;
  std::uint32_t dropped = 0;  // counts towards the limit, too
  while (taken + dropped < limit) {
    if (queue.fast && queue.filter().promiscuous()) [[likely]] {
      taken += rx_take_fast<Ring>(queue, out + taken, limit - taken - dropped);
      if (taken + dropped == limit) break;
    }
    if (queue.ring<Ring>().ready(queue.next) == 0 && !queue.batch_end) break;
    const RxOutcome outcome = rx_take_slow<Ring>(queue, out[taken]);
    if (outcome == RxOutcome::nothing) break;
    (outcome == RxOutcome::frame ? taken : dropped) += 1;
  }
  if (queue.next == first) {
    if constexpr (std::is_same_v<Ring, PackedRing>) {
      if (queue.packed_ring.is_of_another_lap(first)) [[unlikely]]
        queue.end("an entry of another lap of the ring");
      // A batch (IN_ORDER) whose skipped buffers were not used: the device is behind the driver.
      if (queue.packed_ring.is_of_another_lap(first + queue.mask)) [[unlikely]]
        queue.end("an entry for a place that it has used");
    }
    queue.notifier.flush();
    return 0;
  }
  publish<Ring>(queue, first);
  queue.count_returned(taken);
  return taken;
}

namespace {

template <class Ring>
POLLUX_HOT POLLUX_NOINLINE std::uint32_t rx_burst_loop(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept {
  return rx_burst<Ring>(queue, out, limit);
}
template <class Ring>
POLLUX_HOT POLLUX_NOINLINE std::uint32_t rx_burst_single(RxQueue& queue, Mbuf** out) noexcept {
  if (rx_burst_one<Ring>(static_cast<RxVirtqueue&>(queue), *out)) [[likely]]
    return 1;
  return rx_burst_loop<Ring>(queue, out, 1);
}
// Each saves the registers that it needs.
template <class Ring>
POLLUX_HOT std::uint32_t rx_burst_any(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept {
  return limit == 1 ? rx_burst_single<Ring>(queue, out) : rx_burst_loop<Ring>(queue, out, limit);
}

}  // namespace

RxQueue::BurstFunction* rx_burst_for(bool packed) noexcept {
  return packed ? &rx_burst_any<PackedRing> : &rx_burst_any<SplitRing>;
}

}  // namespace pollux::drivers::virtio
