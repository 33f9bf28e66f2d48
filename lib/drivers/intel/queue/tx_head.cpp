// SPDX-License-Identifier: BSD-3-Clause
// Head write-back: the card writes its position in the ring to a word of memory instead of done bits into descriptors
// (TxQueueConfig::head_write_back). The position is translated into the done bits that the queue looks for. So bursts
// and cleaning are those of any queue, and other queues pay nothing.
#include "drivers/intel/queue/tx_hot_path.hpp"
#include "pollux/base/io.hpp"

namespace pollux::drivers::intel {

namespace tx = hw::intel::tx;

// [I-HEADWB] All slots in front of the head are done. A card that writes anything but the position of a slot in flight,
// or the one after them, is not believed.
std::uint32_t TxHotPath::sent_by_head(const TxQueue& queue) noexcept {
  const std::uint64_t head = io::load_acquire(*queue.head_);
  if (head > queue.mask_) return 0;
  const std::uint32_t sent = (static_cast<std::uint32_t>(head) - queue.clean_.slot(queue.mask_)) & queue.mask_;
  return sent <= queue.next_.distance_from(queue.clean_) ? sent : 0;
}

void TxHotPath::mark_sent(TxQueue& queue) noexcept {
  const std::uint32_t sent = sent_by_head(queue);
  if (sent == 0) return;
  const std::uint32_t first = queue.clean_.slot(queue.mask_);
  // The last slot tells `reclaim` and `drain` how far the card is.
  queue.ring_[(first + sent - 1) & queue.mask_].hi |= tx::kDone;
  for (std::uint32_t at = 0; at < sent; at += queue.group_mask_ + 1 - ((first + at) & queue.group_mask_)) {
    const std::uint32_t report = queue.report_slot_[((first + at) & queue.mask_) >> queue.group_shift_];
    if (((report - first) & queue.mask_) < sent) queue.ring_[report].hi |= tx::kDone;
  }
}

std::uint32_t TxHotPath::burst_by_head(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  TxQueue& queue = static_cast<TxQueue&>(base);
  mark_sent(queue);
  return queue.after_head_(base, mbufs, count);
}

}  // namespace pollux::drivers::intel
