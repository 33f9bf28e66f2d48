// SPDX-License-Identifier: BSD-3-Clause
#include "base/compiler.hpp"
#include "drivers/intel/forward/forward_hot_path.hpp"
#include "drivers/intel/queue/rx_hot_path.hpp"
#include "drivers/intel/queue/tx_hot_path.hpp"
#include "mem/ownership.hpp"

namespace pollux::drivers::intel {

namespace tx = hw::intel::tx;

// Puts a frame's segments behind the next slots, and what lay there into the receive queue's cache, from which the ring
// was armed with as many. Nothing is special about a segment from then on: the next lap takes its buffer for a frame.
void ForwardHotPath::queue_segments(ForwardQueue& path, Mbuf& frame) noexcept {
  TxQueue& queue = *path.tx_;
  const std::uint32_t bytes = frame.packet_length();
  const RingIndex first = queue.next_;
  for (Mbuf* segment = &frame; segment != nullptr;) {
    Mbuf* const following = segment->next();
    const std::uint32_t slot = queue.next_.slot(queue.mask_);
    const std::uint64_t end = following == nullptr ? tx::kEndOfPacket | tx::kReportStatus : 0;
    queue.ring_[slot] = tx::data(segment->data_iova(), segment->length(), bytes, end);
    path.rx_->cache_->free_segment(*queue.slots_[slot]);
    queue.slots_[slot] = segment;
    if (ownership::kChecked) static_cast<void>(ownership::mark_free(*segment));
    static_cast<void>(MbufAccess::detach(*segment));
    ++queue.next_;
    segment = following;
  }
  TxHotPath::move_reports(queue, first, queue.next_);
}

// Sends the frame that waits, or the next of those that are not plain.
POLLUX_COLD bool ForwardHotPath::slow(ForwardQueue& path, ForwardedFrame& frame) noexcept {
  const bool moved = send_waiting(path, frame);
  path.set_rule();
  return moved;
}

bool ForwardHotPath::send_waiting(ForwardQueue& path, ForwardedFrame& frame) noexcept {
  TxQueue& queue = *path.tx_;
  // A card that goes on for ever must not keep the caller: at most once round the ring.
  for (std::uint32_t refused = 0; refused <= path.rx_->mask_; ++refused) {
    if (path.waiting_ == nullptr) {
      Mbuf* taken = nullptr;
      if (RxHotPath::slow(*path.rx_, &taken, 1) == 0) return false;
      path.waiting_ = taken;
    }
    Mbuf& next = *path.waiting_;
    if (std::uint64_t* const counter = TxHotPath::drop_counter(queue, next)) {
      add_to(queue.packets_, 1);
      path.waiting_ = nullptr;
      TxHotPath::refuse(queue, next, *counter);
      continue;
    }
    if (next.segments() > TxHotPath::free_slots(queue, queue.next_)) TxHotPath::reclaim(queue);
    if (next.segments() > TxHotPath::free_slots(queue, queue.next_)) return false;
    path.waiting_ = nullptr;
    frame = {next.data(), next.length(), next.packet_length()};
    queue_segments(path, next);
    add_to(queue.packets_, 1);
    return true;
  }
  return false;
}

}  // namespace pollux::drivers::intel
