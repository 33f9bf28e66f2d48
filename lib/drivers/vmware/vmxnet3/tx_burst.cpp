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

// Direct mbufs of the cache's pool: only pointers are moved. The last completion shows that all frames have been sent.
POLLUX_ALWAYS_INLINE bool tx_reclaim_group(TxRing& queue, MempoolCacheCore& cache) noexcept {
  const std::uint32_t slot = queue.clean & queue.mask;
  if (queue.in_flight() < kGroup || slot + kGroup > queue.mask + 1 || !queue.is_ready(queue.used + kGroup - 1))
    return false;
  io::dma_rmb();
  const std::uint64_t last = queue.completions[(queue.used + kGroup - 1) & queue.mask].low & tx::kIndexMask;
  if (last != slot + kGroup - 1) return false;
  cache.make_room(kGroup);
  const std::uintptr_t* const held = queue.slots.get() + slot;
  Mbuf** const to = cache.objects() - kGroup;
  std::uintptr_t all = 0;
  for (std::uint32_t i = 0; i < kGroup; ++i) {
    all |= held[i];
    to[i] = reinterpret_cast<Mbuf*>(held[i]);
  }
  if ((all & TxRing::kSpecial) != 0) return false;
  cache.set_first(cache.first - kGroup);
  add_to(queue.clean, kGroup);
  add_to(queue.used, kGroup);
  return true;
}

/// Frees what the next completion stands for: all frames up to its own. False: the device lies.
bool tx_reclaim_one(TxRing& queue, MempoolCacheCore* cache) noexcept {
  io::dma_rmb();
  const auto index = static_cast<std::uint32_t>(queue.completions[queue.used & queue.mask].low & tx::kIndexMask);
  const std::uint32_t offset = (index - queue.clean) & queue.mask;
  if (index > queue.mask || offset >= queue.in_flight() || (queue.slots[index] & ~TxRing::kTags) == 0) {
    queue.end("a frame that it did not have");
    return false;
  }
  for (std::uint32_t i = 0; i <= offset; ++i) {
    std::uintptr_t& slot = queue.slots[(queue.clean + i) & queue.mask];
    auto* const frame = reinterpret_cast<Mbuf*>(slot & ~TxRing::kSpecial);
    slot = 0;
    if (frame != nullptr) paravirtual::free_sent(*frame, cache);
  }
  add_to(queue.clean, offset + 1);
  add_to(queue.used, std::uint32_t{1});
  return true;
}

}  // namespace

// A look `kGroup - 1` ahead finds nothing to do in most bursts. What it leaves in the ring is freed once the ring is
// full, or a burst is empty.
POLLUX_NOINLINE void tx_reclaim(TxRing& queue, MempoolCacheCore* cache, std::uint32_t ahead) noexcept {
  if (queue.fault() != nullptr) return;
  while (queue.is_ready(queue.used + ahead)) {
    if (cache != nullptr && !ownership::kChecked && tx_reclaim_group(queue, *cache)) continue;
    if (!tx_reclaim_one(queue, cache)) return;
  }
  queue.note_sent(queue.clean, queue.next);
}

// What is inlined from here on has external linkage: otherwise GCC 12 saves more registers in bursts.

/// `kOne`: there is one frame.
template <bool kOne>
POLLUX_ALWAYS_INLINE std::uint32_t tx_send_fast(TxRing& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  if constexpr (ownership::kChecked) return 0;
  const std::uint32_t first = queue.next & queue.mask;
  if (kOne && queue.free_slots() == 0) return 0;
  const std::uint32_t run = kOne ? 1 : std::min({count, queue.free_slots(), queue.mask + 1 - first});
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

POLLUX_HOT POLLUX_NOINLINE std::uint32_t tx_burst_loop(TxQueue& base, Mbuf* const* mbufs,
                                                       std::uint32_t count) noexcept {
  auto& queue = static_cast<TxRing&>(base);
  const std::uint32_t in_flight = queue.in_flight();
  const std::uint32_t ahead = count != 0 ? kGroup - 1 : 0;
  if (queue.is_ready(queue.used + ahead)) tx_reclaim(queue, queue.sent_cache, ahead);
  if (count == 0 || queue.fault() != nullptr) [[unlikely]] {
    queue.producer.flush();
    return mbufs == nullptr ? in_flight - queue.in_flight() : 0;
  }
  const std::uint32_t first = queue.next;
  std::uint32_t taken = 0;
  while (taken < count) {
    const std::uint32_t sent = tx_send_fast<false>(queue, mbufs + taken, count - taken);
    taken += sent;
    if (taken == count) break;
    if (queue.free_slots() != 0) {
      if (sent != 0) continue;  // the end of the ring, or a frame of another kind
      if (tx_send_slow(queue, mbufs[taken]) != TxOutcome::no_room) {
        ++taken;
        continue;
      }
    }
    const std::uint32_t clean = queue.clean;
    tx_reclaim(queue, queue.sent_cache, 0);
    if (queue.clean == clean) break;
  }
  if (queue.next != first) queue.producer.ring(queue.next & queue.mask);
  queue.producer.flush();
  queue.count_taken(taken);
  return taken;
}

/// A burst of one fast-path frame, without loops. False, with nothing sent: the whole burst has to look.
POLLUX_ALWAYS_INLINE bool tx_burst_one(TxRing& queue, Mbuf* const* frame) noexcept {
  if (queue.is_ready(queue.used + kGroup - 1)) tx_reclaim(queue, queue.sent_cache, kGroup - 1);
  if (queue.fault() != nullptr || tx_send_fast<true>(queue, frame, 1) == 0) [[unlikely]]
    return false;
  queue.producer.ring(queue.next & queue.mask);
  queue.producer.flush();
  queue.count_taken(1);
  return true;
}
POLLUX_HOT POLLUX_NOINLINE std::uint32_t tx_burst_single(TxQueue& queue, Mbuf* const* frame) noexcept {
  if (tx_burst_one(static_cast<TxRing&>(queue), frame)) [[likely]]
    return 1;
  return tx_burst_loop(queue, frame, 1);
}
// Each saves the registers that it needs.
POLLUX_HOT std::uint32_t tx_burst_any(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  return count == 1 ? tx_burst_single(queue, mbufs) : tx_burst_loop(queue, mbufs, count);
}

}  // namespace

TxQueue::BurstFunction* tx_burst_function() noexcept { return &tx_burst_any; }

}  // namespace pollux::drivers::vmxnet3
