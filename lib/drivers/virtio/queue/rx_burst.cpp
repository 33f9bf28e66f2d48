// SPDX-License-Identifier: BSD-3-Clause
// The receive fast path, from the ring to the application. It takes frames in one buffer whose header asks for nothing,
// from a device that filters frames and uses buffers in the order in which they were posted. rx_slow.cpp takes all
// others.
#include <algorithm>
#include <bit>
#include <cstring>

#include "base/compiler.hpp"
#include "drivers/virtio/queue/rx_queue.hpp"
#include "net/virtio_net_header.hpp"

namespace pollux::drivers::virtio {
namespace {

/// A run of consecutive slots, from `first` on.
struct SplitRun {
  const hw::virtio::UsedElement* used;
  hw::virtio::SplitDescriptor* descriptors;
  std::uint64_t expected;  ///< the first used entry, for the shortest frame

  SplitRun(const SplitRing& ring, std::uint32_t position, std::uint64_t shortest, std::uint32_t /*room*/) noexcept
      : used(ring.used + (position & ring.mask)),
        descriptors(ring.descriptors + (position & ring.mask)),
        expected(shortest << 32 | (position & ring.mask)) {}

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

  PackedRun(const PackedRing& ring, std::uint32_t position, std::uint64_t shortest, std::uint32_t room) noexcept
      : descriptors(ring.descriptors + (position & ring.mask)),
        expected(PackedRing::word(shortest, position & ring.mask, 0) | ring.used_bits(position)),
        fresh(PackedRing::word(room, position & ring.mask,
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

}  // namespace

template <class Ring, bool kOne>
POLLUX_ALWAYS_INLINE std::uint32_t RxHotPath::take_fast(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept {
  constexpr std::uint32_t kMaxRun = MempoolCache::kMaxCapacity / 2;
  const std::uint32_t position = queue.next_;
  const std::uint32_t first = position & queue.mask_;
  const Ring& ring = ring_of<Ring>(queue);
  MempoolCacheCore& cache = *queue.cache_;
  std::uint32_t run = std::min({limit, queue.mask_ + 1 - first, kMaxRun, ready_for_run(ring, position)});
  if (run == 0) return 0;
  if constexpr (kOne) run = 1;
  if (cache.count() < run) [[unlikely]] {
    cache.refill(run);
    if (cache.count() == 0) return 0;
    if constexpr (!kOne) run = std::min(run, cache.count());
  }
  // A copy stays in registers: no store to an mbuf can alias it.
  const std::conditional_t<kOne, const RxFastPath&, RxFastPath> fast_path = queue.fast_path_;
  const std::uint32_t room = fast_path.header_bytes + queue.buffer_bytes_;
  RunOf<Ring> slots(ring, position, fast_path.shortest, room);
  const std::uint64_t max_excess =
      fast_path.header_bytes + std::min(queue.filter().longest(), queue.buffer_bytes_) - fast_path.shortest;
  Mbuf** const held = queue.slots_ + first;
  Mbuf* const* const fresh = cache.objects();
  std::uint64_t bytes = 0;
  std::uint32_t multicasts = 0;
  std::uint32_t i = 0;
  for (; i < run; ++i) {
    const std::uint64_t excess = slots.excess(i);
    if (excess > max_excess) [[unlikely]]
      break;
    Mbuf& received = *held[i];
    const std::byte* const header = reinterpret_cast<const std::byte*>(&received) + fast_path.header_at;
    std::uint64_t low;
    std::uint32_t high;
    std::memcpy(&low, header, sizeof low);
    std::memcpy(&high, header + sizeof low, sizeof high);
    // No checksum to compute, nothing to segment, one buffer.
    constexpr std::uint64_t kAsks = 0xFFFF & ~std::uint64_t{VirtioNetHeader::kDataValid};
    if (((low & kAsks) | ((high & fast_path.buffers_mask) ^ fast_path.one_buffer)) != 0) [[unlikely]]
      break;
    const auto* const frame = reinterpret_cast<const std::uint8_t*>(header) + fast_path.header_bytes;
    if (RxFilter::is_multicast(frame)) [[unlikely]] {
      queue.count_arrival(frame, static_cast<std::uint32_t>(excess + fast_path.shortest) - fast_path.header_bytes);
      bytes -= excess;
      ++multicasts;
    }
    MbufAccess::rx_low(received) = low;
    MbufAccess::rx_high(received) = high;
    MbufAccess::set_word(received, excess + fast_path.word);
    out[i] = &received;
    Mbuf* const next = fresh[i];
    held[i] = next;
    slots.post(i, MbufAccess::iova(*next) + fast_path.iova_at);
    bytes += excess;
  }
  cache.set_first(cache.first + i);
  queue.next_ = position + i;
  const std::uint64_t others = i - multicasts;
  queue.count_arrivals(others, bytes + others * (fast_path.shortest - fast_path.header_bytes));
  return i;
}

template <class Ring, bool kOne>
POLLUX_ALWAYS_INLINE std::uint32_t RxHotPath::burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  if constexpr (kOne) limit = 1;
  auto& queue = static_cast<RxQueue&>(base);
  const std::uint32_t first = queue.next_;
  std::uint32_t taken = 0;
  std::uint32_t dropped = 0;  // counts towards the limit, too
  while (taken + dropped < limit) {
    if (queue.fast_ && queue.filter().promiscuous()) [[likely]] {
      taken += take_fast<Ring, kOne>(queue, out + taken, limit - taken - dropped);
      if (taken + dropped == limit) break;
    }
    if (ring_of<Ring>(queue).ready(queue.next_) == 0 && !queue.batch_end_) break;
    const Outcome outcome = take_slow<Ring>(queue, out[taken]);
    if (outcome == Outcome::nothing) break;
    (outcome == Outcome::frame ? taken : dropped) += 1;
  }
  if (queue.next_ == first) {
    if constexpr (std::is_same_v<Ring, PackedRing>) {
      if (queue.packed_ring_.is_of_another_lap(first)) [[unlikely]]
        end(queue, "an entry of another lap of the ring");
      // A batch (IN_ORDER) whose skipped buffers were not used: the device is behind the driver.
      if (queue.packed_ring_.is_of_another_lap(first + queue.mask_)) [[unlikely]]
        end(queue, "an entry for a place that it has used");
    }
    queue.notifier_.flush();
    return 0;
  }
  const std::uint32_t size = queue.mask_ + 1;
  queue.published_ = queue.next_ + size;
  ring_of<Ring>(queue).publish(first + size, queue.next_ + size, queue.next_, queue.notifier_);
  queue.count_returned(taken);
  return taken;
}

namespace {

template <class Ring, bool kOne>
POLLUX_HOT POLLUX_NOINLINE std::uint32_t burst_of(pollux::RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept {
  return RxHotPath::burst<Ring, kOne>(queue, out, limit);
}
// With a limit of one the compiler knows all that a run needs, and keeps it in registers.
template <class Ring>
POLLUX_HOT std::uint32_t burst_any(pollux::RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept {
  return limit == 1 ? burst_of<Ring, true>(queue, out, limit) : burst_of<Ring, false>(queue, out, limit);
}

}  // namespace

pollux::RxQueue::BurstFunction* rx_burst_for(bool packed) noexcept {
  return packed ? &burst_any<PackedRing> : &burst_any<SplitRing>;
}

}  // namespace pollux::drivers::virtio
