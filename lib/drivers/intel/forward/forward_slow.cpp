// SPDX-License-Identifier: BSD-3-Clause
#include "base/compiler.hpp"
#include "drivers/intel/forward/forward_hot_path.hpp"
#include "drivers/intel/queue/rx_hot_path.hpp"
#include "drivers/intel/queue/tx_hot_path.hpp"
#include "mem/ownership.hpp"

namespace pollux::drivers::intel {

namespace tx = hw::intel::tx;

// Puts a frame's segments into the next slots. The mbufs that were there go to the receive queue's cache, which
// supplied as many for the receive ring. Each segment is detached from its frame, since the next lap uses its buffer
// for another.
void ForwardHotPath::queue_segments(ForwardQueue& path, Mbuf& frame) noexcept {
  const TxInternals queue(*path.tx_);
  MempoolCacheCore& cache = RxInternals(*path.rx_).cache();
  const std::uint32_t bytes = frame.packet_length();
  const RingIndex first = queue.next();
  for (Mbuf* segment = &frame; segment != nullptr;) {
    Mbuf* const following = segment->next();
    const std::uint32_t slot = queue.next().slot(queue.mask());
    const std::uint64_t end = following == nullptr ? tx::kEndOfPacket | tx::kReportStatus : 0;
    queue.ring()[slot] = tx::data(segment->data_iova(), segment->length(), bytes, end);
    cache.free_segment(*queue.slots()[slot]);
    queue.slots()[slot] = segment;
    if (ownership::kChecked) static_cast<void>(ownership::mark_free(*segment));
    static_cast<void>(MbufAccess::detach(*segment));
    ++queue.next();
    segment = following;
  }
  TxHotPath::move_reports(queue, first, queue.next());
}

POLLUX_COLD bool ForwardHotPath::slow(ForwardQueue& path, ForwardedFrame& frame) noexcept {
  const bool moved = send_waiting(path, frame);
  path.update_fast_path();
  return moved;
}

bool ForwardHotPath::send_waiting(ForwardQueue& path, ForwardedFrame& frame) noexcept {
  const TxInternals queue(*path.tx_);
  // At most one lap of the ring: a card that delivers without end must not keep the caller here.
  for (std::uint32_t dropped = 0; dropped <= path.rx_->slot_mask(); ++dropped) {
    if (path.waiting_ == nullptr) {
      Mbuf* taken = nullptr;
      if (RxHotPath::slow(*path.rx_, &taken, 1) == 0) return false;
      path.waiting_ = taken;
    }
    Mbuf& next = *path.waiting_;
    TxCommand none;  // a received frame has no offload request
    if (std::uint64_t* const counter = TxHotPath::drop_counter(queue, next, none)) {
      add_to(queue.packets(), 1);
      path.waiting_ = nullptr;
      TxHotPath::drop(queue, next, *counter);
      continue;
    }
    if (next.segments() > TxHotPath::free_slots(queue, queue.next())) TxHotPath::reclaim(queue);
    if (next.segments() > TxHotPath::free_slots(queue, queue.next())) return false;
    path.waiting_ = nullptr;
    frame = {next.data(), next.length(), next.packet_length()};
    queue_segments(path, next);
    add_to(queue.packets(), 1);
    return true;
  }
  return false;
}

}  // namespace pollux::drivers::intel
