// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstring>

#include "base/compiler.hpp"
#include "drivers/igb/tx_hot_path.hpp"
#include "mem/custody.hpp"
#include "pollux/base/io.hpp"

namespace pollux::igb {

namespace tx = hw::igb::tx;
using hw::igb::Descriptor;

// Kept in registers: the compiler must assume that a store into the ring changes the queue.
struct TxHotPath::Constants {
  explicit Constants(const TxQueue& queue) noexcept
      : command(queue.command_), shortest(queue.shortest_), span(queue.span_), context(queue.context_.get()) {}
  std::uint64_t command;
  std::uint32_t shortest;
  std::uint32_t span;
  const ContextState* context;  // looked at in checked builds only
};

template <bool Small>
POLLUX_ALWAYS_INLINE std::uint32_t TxHotPath::group_mask(const TxQueue& queue) noexcept {
  if constexpr (Small) return queue.group_mask_;
  return kGroup - 1;
}

// Whether the group at the clean end is complete and the card is done with it.
template <bool Small>
POLLUX_ALWAYS_INLINE bool TxHotPath::oldest_done(const TxQueue& queue) noexcept {
  return (queue.next_.value() ^ queue.clean_.value()) > group_mask<Small>(queue) &&
         tx::done(io::load_acquire(*queue.done_));
}

// Writes a plain frame's descriptor. False, with nothing changed, for anything else.
POLLUX_ALWAYS_INLINE bool TxHotPath::send_plain(const Constants& constants, Descriptor& descriptor, Mbuf*& slot,
                                                Mbuf* frame) noexcept {
  if constexpr (custody::kTraced) {
    if (frame == nullptr || !custody::is_out(*frame, constants.context)) return false;
  }
  // One comparison for length, pool and whatever makes a frame special: they lie side by side in the mbuf, and a
  // difference above the length is out of any span.
  const std::uint32_t beyond_shortest = static_cast<std::uint32_t>(MbufAccess::word(*frame)) - constants.shortest;
  if (beyond_shortest > constants.span) [[unlikely]]
    return false;
  descriptor = {frame->data_iova(), beyond_shortest * kPerByte + constants.command};
  slot = frame;
  return true;
}

template <bool Small>
POLLUX_ALWAYS_INLINE void TxHotPath::clean_group(TxQueue& queue) noexcept {
  const std::uint32_t first = queue.clean_.slot(queue.mask_);
  const std::uint32_t mask = group_mask<Small>(queue);
  const std::uint32_t slots = mask + 1 - (first & mask);
  const std::uint32_t group = first >> queue.group_shift_;
  if (custody::kTraced || queue.mixed_[group]) [[unlikely]] {
    free_each(queue, queue.clean_, slots);
    end_group(queue);
  } else {
    MempoolCacheCore& cache = *queue.cache_;
    cache.make_room(kGroup);
    // Plain frames of the cache's own pool: the pointers are all that moves.
    if (!Small && slots == kGroup) [[likely]] {
      std::memcpy(cache.mbufs.data() + cache.count, queue.slots_ + first, kGroup * sizeof(Mbuf*));
    } else {
      std::copy_n(queue.slots_ + first, slots, cache.mbufs.data() + cache.count);
    }
    cache.set_count(cache.count + slots);
  }
  queue.clean_ += slots;
  watch_oldest(queue);
}

template <bool Remote>
POLLUX_ALWAYS_INLINE void TxHotPath::finish(TxQueue& queue, RingIndex next, std::uint32_t frames) noexcept {
  queue.next_ = next;
  bump(queue.packets_, std::uint64_t{frames});
  if constexpr (Remote) {
    queue.tail_.ring(next.slot(queue.mask_));
    queue.tail_.flush();
  } else {
    queue.tail_.ring_mapped(next.slot(queue.mask_));
  }
}

// A burst of one plain frame while nothing has to be cleaned first.
template <bool Remote, bool Small>
POLLUX_ALWAYS_INLINE bool TxHotPath::single(TxQueue& queue, Mbuf* frame) noexcept {
  if (oldest_done<Small>(queue) || free_slots(queue, queue.next_) == 0) [[unlikely]]
    return false;
  const std::uint32_t slot = queue.next_.slot(queue.mask_);
  if (!send_plain(Constants(queue), queue.ring_[slot], queue.slots_[slot], frame)) return false;
  queue.ring_[slot].hi |= tx::kReportStatus;
  finish<Remote>(queue, queue.next_ + 1, 1);
  return true;
}

template <bool Remote, bool Small>
POLLUX_HOT std::uint32_t TxHotPath::several(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  while (oldest_done<Small>(queue)) clean_group<Small>(queue);
  const Constants constants(queue);
  const std::uint32_t mask = group_mask<Small>(queue);
  RingIndex next = queue.next_;
  std::uint32_t taken = 0;
  while (taken < count) {
    const std::uint32_t room = free_slots(queue, next);
    const std::uint32_t to_group_end = mask + 1 - (next.value() & mask);
    const std::uint32_t run = std::min({to_group_end, count - taken, room});
    if (run == 0) [[unlikely]]
      break;
    const std::uint32_t first = next.slot(queue.mask_);
    Descriptor* descriptor = queue.ring_ + first;
    Mbuf** const slots_end = queue.slots_ + first + run;
    Mbuf* const* const mbufs_end = mbufs + taken + run;
    std::intptr_t i = -static_cast<std::intptr_t>(run);
    do {
      if (!send_plain(constants, *descriptor, slots_end[i], mbufs_end[i])) break;
      ++descriptor;
    } while (++i != 0);
    const std::uint32_t done = run + static_cast<std::uint32_t>(i);
    next += done;
    taken += done;
    // The last of a group and of a burst reports; so nothing is stranded when no more bursts come.
    if (done != 0) [[likely]]
      descriptor[-1].hi |= tx::kReportStatus;
    if (i != 0) [[unlikely]] {
      const Fate fate = send_carefully(queue, mbufs[taken], next);
      if (fate == Fate::no_room) break;
      ++taken;
    }
  }
  if (taken != 0) finish<Remote>(queue, next, taken);
  return taken;
}

template <bool Remote, bool Small>
POLLUX_HOT std::uint32_t TxHotPath::burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  TxQueue& queue = static_cast<TxQueue&>(base);
  if (count == 1 && !custody::kTraced && single<Remote, Small>(queue, mbufs[0])) return 1;
  if (count == 0) {
    if constexpr (Remote) queue.tail_.flush();
    const std::uint32_t slots = reclaim(queue);
    // An empty burst had nothing taken from it; only tx_done_cleanup, which has no burst, asks what came back.
    return mbufs == nullptr ? slots : 0;
  }
  return several<Remote, Small>(queue, mbufs, count);
}

template std::uint32_t TxHotPath::burst<false, false>(pollux::TxQueue&, Mbuf* const*, std::uint32_t) noexcept;
template std::uint32_t TxHotPath::burst<false, true>(pollux::TxQueue&, Mbuf* const*, std::uint32_t) noexcept;
template std::uint32_t TxHotPath::burst<true, false>(pollux::TxQueue&, Mbuf* const*, std::uint32_t) noexcept;
template std::uint32_t TxHotPath::burst<true, true>(pollux::TxQueue&, Mbuf* const*, std::uint32_t) noexcept;

}  // namespace pollux::igb
