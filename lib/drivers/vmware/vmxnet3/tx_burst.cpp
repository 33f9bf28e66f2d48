// SPDX-License-Identifier: BSD-3-Clause
// The transmit fast path, from the application to the ring, and the return of sent buffers. It sends direct,
// single-segment mbufs of the cache's pool. tx_slow.cpp sends or drops all others.
#include <algorithm>
#include <cstring>

#include "base/compiler.hpp"
#include "drivers/vmware/vmxnet3/tx_queue.hpp"
#include "mem/ownership.hpp"

namespace pollux::drivers::vmxnet3 {

namespace tx = hw::vmxnet3::tx;

namespace {

/// Frames that are freed at once.
constexpr std::uint32_t kGroup = 32;

// Direct mbufs of the cache's pool, each with a completion of its own: only pointers are moved.
POLLUX_ALWAYS_INLINE std::uint32_t tx_reclaim_fast(TxRing& queue, MempoolCacheCore& cache) noexcept {
  const std::uint32_t slot = queue.clean & queue.mask;
  const std::uint32_t entry = queue.used & queue.mask;
  const std::uint32_t most = std::min({kGroup, queue.next - queue.clean, queue.mask + 1 - std::max(slot, entry)});
  const std::uint64_t generation = (queue.used & (queue.mask + 1)) == 0 ? reg::kCompletionGeneration : 0;
  const reg::Completion* const completions = queue.completions + entry;
  const std::uintptr_t* const held = queue.slots.get() + slot;
  cache.make_room(kGroup);
  Mbuf** to = cache.objects();
  std::uint32_t i = 0;
  for (; i < most; ++i) {
    const std::uint64_t high = io::load_acquire(completions[i].high);
    const std::uintptr_t frame = held[i];
    const bool is_next = (completions[i].low & tx::kIndexMask) == slot + i;
    if ((high & reg::kCompletionGeneration) != generation || !is_next || frame == 0 || (frame & TxRing::kSpecial) != 0)
      break;
    *--to = reinterpret_cast<Mbuf*>(frame);
  }
  cache.set_first(cache.first - i);
  add_to(queue.clean, i);
  add_to(queue.used, i);
  return i;
}

/// Frees what the next completion stands for: all frames up to its own. False: the device lies.
bool tx_reclaim_one(TxRing& queue, MempoolCacheCore* cache) noexcept {
  io::dma_rmb();
  const auto index = static_cast<std::uint32_t>(queue.completions[queue.used & queue.mask].low & tx::kIndexMask);
  const std::uint32_t offset = (index - queue.clean) & queue.mask;
  if (index > queue.mask || offset >= queue.in_flight() || queue.slots[index] == 0) {
    queue.end("a frame that it did not have");
    return false;
  }
  for (std::uint32_t i = 0; i <= offset; ++i) {
    std::uintptr_t& slot = queue.slots[(queue.clean + i) & queue.mask];
    auto* const frame = reinterpret_cast<Mbuf*>(slot & ~TxRing::kSpecial);
    slot = 0;
    if (frame == nullptr) continue;
    if (cache != nullptr) {
      cache->free(*frame);
    } else {
      MbufDeleter{}(frame);
    }
  }
  add_to(queue.clean, offset + 1);
  add_to(queue.used, std::uint32_t{1});
  return true;
}

}  // namespace

POLLUX_NOINLINE void tx_reclaim(TxRing& queue, MempoolCacheCore* cache) noexcept {
  if (queue.fault() != nullptr) return;
  while (queue.is_ready(queue.used)) {
    const std::uint32_t freed = cache != nullptr && !ownership::kChecked ? tx_reclaim_fast(queue, *cache) : 0;
    if (freed == 0 && !tx_reclaim_one(queue, cache)) return;
  }
  queue.note_sent(queue.clean, queue.next);
}

// What is inlined from here on has external linkage: otherwise GCC 12 saves more registers in bursts.

POLLUX_ALWAYS_INLINE std::uint32_t tx_send_fast(TxRing& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  if constexpr (ownership::kChecked) return 0;
  const std::uint32_t first = queue.next & queue.mask;
  const std::uint32_t run = std::min({count, queue.free_slots(), queue.mask + 1 - first});
  reg::Descriptor* const descriptors = queue.descriptors + first;
  std::uintptr_t* const held = queue.slots.get() + first;
  const std::uint32_t direct = queue.direct;
  const std::uint32_t max_excess = queue.max_excess;
  const std::uint64_t shortest =
      tx::kEndOfPacket | tx::kReport | queue.generation(queue.next) | queue.limits().min_frame;
  std::uint64_t bytes = 0;
  std::uint32_t i = 0;
  for (; i < run; ++i) {
    Mbuf& frame = *mbufs[i];
    // One comparison covers length, pool and `special`, which are adjacent in the mbuf.
    const std::uint64_t word = MbufAccess::word(frame);
    const std::uint32_t excess = static_cast<std::uint32_t>(word) - direct;
    if (excess > max_excess) [[unlikely]]
      break;
    descriptors[i].address = MbufAccess::iova(frame) + (word >> MbufAccess::kOffsetShift & 0xFFFF);
    io::io_wmb();
    __atomic_store_n(&descriptors[i].word, shortest + excess, __ATOMIC_RELEASE);
    held[i] = reinterpret_cast<std::uintptr_t>(&frame);
    bytes += excess;
  }
  add_to(queue.next, i);
  queue.count_sent(bytes + std::uint64_t{i} * queue.limits().min_frame, i);
  return i;
}

namespace {

POLLUX_HOT std::uint32_t tx_burst_any(TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  auto& queue = static_cast<TxRing&>(base);
  const std::uint32_t in_flight = queue.in_flight();
  if (queue.is_ready(queue.used)) tx_reclaim(queue, queue.sent_cache);
  if (count == 0 || queue.fault() != nullptr) [[unlikely]] {
    queue.producer.flush();
    return mbufs == nullptr ? in_flight - queue.in_flight() : 0;
  }
  const std::uint32_t first = queue.next;
  std::uint32_t taken = 0;
  while (taken < count) {
    const std::uint32_t sent = tx_send_fast(queue, mbufs + taken, count - taken);
    taken += sent;
    if (taken == count || queue.free_slots() == 0) break;
    if (sent != 0) continue;  // the end of the ring, or a frame of another kind
    if (tx_send_slow(queue, mbufs[taken]) == TxOutcome::no_room) break;
    ++taken;
  }
  if (queue.next != first) queue.producer.ring(queue.next & queue.mask);
  queue.producer.flush();
  queue.count_taken(taken);
  return taken;
}

}  // namespace

TxQueue::BurstFunction* tx_burst_function() noexcept { return &tx_burst_any; }

}  // namespace pollux::drivers::vmxnet3
