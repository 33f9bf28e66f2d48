// SPDX-License-Identifier: BSD-3-Clause
// Head write-back: the card writes its position in the ring to a word of memory instead of done bits into descriptors
// (TxQueueConfig::head_write_back). The position is translated into the done bits that the queue looks for. So bursts
// and cleaning are those of any queue, and other queues pay nothing.
#include "drivers/intel/queue/tx_ring.hpp"
#include "pollux/base/io.hpp"

namespace pollux::drivers::intel {

namespace tx = hw::intel::tx;

// [I-HEADWB] All slots in front of the head are done. A card that writes anything but the position of a slot in flight,
// or the one after them, is not believed.
std::uint32_t sent_by_head(const TxRing& ring) noexcept {
  const std::uint64_t head = io::load_acquire(*ring.head);
  if (head > ring.mask) return 0;
  const std::uint32_t sent = (static_cast<std::uint32_t>(head) - ring.clean.slot(ring.mask)) & ring.mask;
  return sent <= ring.next.distance_from(ring.clean) ? sent : 0;
}

void mark_sent(TxRing& ring) noexcept {
  const std::uint32_t sent = sent_by_head(ring);
  if (sent == 0) return;
  const std::uint32_t first = ring.clean.slot(ring.mask);
  // The last slot tells `reclaim` and `drain` how far the card is.
  ring.descriptors[(first + sent - 1) & ring.mask].hi |= tx::kDone;
  for (std::uint32_t at = 0; at < sent; at += ring.group_mask + 1 - ((first + at) & ring.group_mask)) {
    const std::uint32_t report = ring.report_slot[((first + at) & ring.mask) >> ring.group_shift];
    if (((report - first) & ring.mask) < sent) ring.descriptors[report].hi |= tx::kDone;
  }
}

std::uint32_t tx_burst_by_head(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  TxRing& ring = static_cast<TxRing&>(base);
  mark_sent(ring);
  return ring.after_head(base, mbufs, count);
}

}  // namespace pollux::drivers::intel
