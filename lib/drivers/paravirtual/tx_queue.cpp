// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/paravirtual/tx_queue.hpp"

#include <algorithm>
#include <utility>

#include "mem/context_state.hpp"

namespace pollux::drivers::paravirtual {

void ParavirtualTxQueue::set_up_ring(std::uint32_t size, const TxQueueLimits& limits,
                                     std::shared_ptr<MempoolCacheCore> cache,
                                     std::shared_ptr<const ContextState> context) {
  mask = size - 1;
  slots = std::make_unique<std::uintptr_t[]>(size);  // NOLINT(modernize-avoid-c-arrays)
  next = clean = 0;
  max_excess = limits.max_frame - limits.min_frame;
  set_up(limits, std::move(cache), std::move(context));
  clear();
}

// Mbufs in the ring may belong to another pool than the new cache's, so they are freed one by one.
void ParavirtualTxQueue::cache_changed() noexcept {
  sent_cache = cache();
  direct = shortest();
  for (std::uint32_t position = clean; position != next; ++position) {
    std::uintptr_t& slot = slots[position & mask];
    if (slot != 0 && (slot & kTags) == 0) slot |= kSpecial;
  }
}

void ParavirtualTxQueue::clear() noexcept {
  next = clean = used = 0;
  forget_mark(0);
  fault_.store(nullptr, std::memory_order_release);
  if (slots != nullptr) std::fill_n(slots.get(), mask + 1, 0);
}

// The sending thread may be using the cache with another port's queues, so buffers go to the shared lists.
bool ParavirtualTxQueue::finished() noexcept {
  if (slots == nullptr) return true;
  reclaim_shared();
  return next == clean;
}

std::uint32_t ParavirtualTxQueue::drain(DrainReason reason) noexcept {
  if (slots == nullptr) return 0;
  const auto frame = [&](std::uint32_t position) { return reinterpret_cast<Mbuf*>(slots[position & mask] & ~kTags); };
  std::uint32_t buffers = 0;
  for (std::uint32_t position = clean; position != next; ++position) {
    if (frame(position) != nullptr) buffers += frame(position)->segments();
  }
  static_cast<void>(finished());
  const TxDrop why = reason == DrainReason::stopped ? &TxDrops::stopped : &TxDrops::removed;
  for (; clean != next; ++clean) {
    if (frame(clean) == nullptr) continue;
    count_unsent(frame(clean)->packet_length(), why);
    MbufDeleter{}(frame(clean));
  }
  clear();
  return buffers;
}

void ParavirtualTxQueue::retire() noexcept {
  TxQueueDriver::retire();
  next = clean = 0;
  slots.reset();
}

bool ParavirtualTxQueue::has_unsent(const TxSent& counted) const noexcept {
  if (slots == nullptr) return false;
  return !is_between_bursts(counted) || first_unsent().has_value();
}

}  // namespace pollux::drivers::paravirtual
