// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "base/compiler.hpp"
#include "drivers/intel/queue/tx_hot_path.hpp"
#include "mem/context_state.hpp"
#include "mem/ownership.hpp"
#include "pollux/base/io.hpp"
#include "pollux/net/checksum_offload.hpp"

namespace pollux::drivers::intel {

namespace tx = hw::intel::tx;

namespace {

// Mbuf::capacity, inline for a segment whose data is in its own buffer.
std::uint32_t capacity_of(Mbuf& segment) noexcept {
  constexpr unsigned kElsewhere = MbufAccess::kExternal | MbufAccess::kClone;
  return (MbufAccess::special(segment) & kElsewhere) != 0 ? segment.capacity()
                                                          : MbufAccess::pool(segment).buffer_size();
}

// Whether the segment's buffer of `capacity` bytes is mapped for the card.
bool is_reachable(Mbuf& segment, const ContextState* context, std::uint32_t capacity) noexcept {
  return &MbufAccess::pool(segment).context() == context && MbufAccess::iova(segment) < DmaMemory::kNoIova - capacity;
}

// Computes the checksums that the frame asks for, in software. Returns nullptr, or the drop counter of the error.
std::uint64_t* compute_checksums(TxDrops& drops, Mbuf& frame) noexcept {
  switch (complete_checksums(frame)) {
    case ChecksumCompletion::complete: return nullptr;
    case ChecksumCompletion::bad_request: return &drops.bad_offload;
    case ChecksumCompletion::shared_data: break;
  }
  return &drops.shared_checksum;
}

}  // namespace

std::uint64_t* TxHotPath::drop_counter(TxQueue& queue, Mbuf& frame) noexcept {
  TxDrops& drops = queue.drops_;
  if ((frame.tx_offload().flags & ~TxOffload::kChecksums) != 0) return &drops.unsupported_offload;
  const std::uint32_t max_segments = std::min(TxQueue::kMaxSegments, queue.mask_);
  std::uint32_t segments = 0;
  std::uint64_t bytes = 0;
  bool has_empty = false;
  for (Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    if (++segments > max_segments) return &drops.too_many_segments;
    const std::uint32_t capacity = capacity_of(*segment);
    if (!is_reachable(*segment, queue.context_.get(), capacity)) return &drops.unreachable;
    const std::uint32_t length = segment->length();
    if (length == 0) {
      has_empty = true;
    } else if (MbufAccess::data_offset(*segment) + length > capacity) {
      return &drops.bad_segment;
    }
    bytes += length;
  }
  if (bytes < TxQueue::kMinFrame) return &drops.too_short;
  if (bytes > queue.max_frame_) return &drops.too_long;
  return has_empty ? &drops.bad_segment : compute_checksums(drops, frame);
}

TxHotPath::Outcome TxHotPath::drop(TxQueue& queue, Mbuf& frame, std::uint64_t& counter) noexcept {
  add_to(counter, std::uint64_t{1});
  if (queue.cache_ != nullptr) {
    queue.cache_->free(frame);
  } else {
    MbufDeleter{}(&frame);
  }
  return Outcome::dropped;
}

// The card reports whole frames only, so a group that ends inside a frame is done when the frame is.
void TxHotPath::move_reports(TxQueue& queue, RingIndex first, RingIndex end) noexcept {
  const std::uint32_t last = (end - 1).slot(queue.mask_);
  std::uint32_t left = end.distance_from(first);
  for (RingIndex slot = first; left != 0;) {
    const std::uint32_t group = slot.slot(queue.mask_) >> queue.group_shift_;
    const std::uint32_t to_group_end = queue.group_mask_ + 1 - (slot.value() & queue.group_mask_);
    queue.mixed_[group] = true;
    if (left < to_group_end) break;
    queue.report_slot_[group] = last;
    slot += to_group_end;
    left -= to_group_end;
  }
  watch_oldest(queue);
}

POLLUX_NOINLINE TxHotPath::Outcome TxHotPath::send_slow(TxQueue& queue, Mbuf* frame, RingIndex& next) noexcept {
  if constexpr (ownership::kChecked) {
    if (!ownership::may_send(frame, *queue.context_)) {
      // The caller does not own the mbuf, so it must not be freed here. An mbuf of another Context returns to its pool.
      if (frame != nullptr && &MbufAccess::pool(*frame).context() != queue.context_.get()) {
        return drop(queue, *frame, queue.drops_.unreachable);
      }
      add_to(queue.drops_.unreachable, std::uint64_t{1});
      return Outcome::dropped;
    }
  }
  if (std::uint64_t* const counter = drop_counter(queue, *frame)) return drop(queue, *frame, *counter);
  // A burst cleans full groups only. In a small ring, a long frame may also need the done slots of the last group.
  if (frame->segments() > free_slots(queue, next) && next == queue.next_) reclaim(queue);
  if (frame->segments() > free_slots(queue, next)) return Outcome::no_room;
  const std::uint32_t bytes = frame->packet_length();
  const RingIndex first = next;
  for (Mbuf* segment = frame; segment != nullptr; segment = segment->next()) {
    const std::uint32_t slot = next.slot(queue.mask_);
    queue.ring_[slot] = tx::data(segment->data_iova(), segment->length(), bytes, 0);
    queue.slots_[slot] = segment;
    ++next;
  }
  queue.ring_[(next - 1).slot(queue.mask_)].hi |= tx::kEndOfPacket | tx::kReportStatus;
  move_reports(queue, first, next);
  return Outcome::queued;
}

void TxHotPath::free_each(TxQueue& queue, RingIndex first, std::uint32_t count) noexcept {
  if (queue.has_spares_) return;  // a forward path exchanges them for received buffers
  for (std::uint32_t i = 0; i < count; ++i) {
    Mbuf& segment = *queue.slots_[(first + i).slot(queue.mask_)];
    if (ownership::kChecked && !ownership::mark_free(segment)) continue;
    if (queue.cache_ != nullptr) {
      queue.cache_->free_segment(segment);
    } else {
      free_segment_shared(segment);
    }
  }
}

void TxHotPath::reset_group(TxQueue& queue, std::uint32_t group) noexcept {
  queue.mixed_[group] = false;
  queue.report_slot_[group] = (group << queue.group_shift_) + queue.group_mask_;
}

void TxHotPath::end_group(TxQueue& queue) noexcept {
  const std::uint32_t first = queue.clean_.slot(queue.mask_);
  const std::uint32_t group = first >> queue.group_shift_;
  reset_group(queue, group);
  // If clean_ was inside the group, frames of the next lap may already be in the slots before it.
  const std::uint32_t lap_left = queue.mask_ + 1 - (first & queue.group_mask_);
  queue.mixed_[group] = queue.next_.distance_from(queue.clean_) > lap_left;
}

POLLUX_NOINLINE void TxHotPath::free_mixed_group(TxQueue& queue, std::uint32_t slots) noexcept {
  free_each(queue, queue.clean_, slots);
  end_group(queue);
}

POLLUX_COLD std::uint32_t TxHotPath::idle_burst(TxQueue& queue, Mbuf* const* mbufs) noexcept {
  queue.tail_.flush();
  const std::uint32_t slots = reclaim(queue);
  // A burst of no frames took none. tx_done_cleanup passes no burst and wants the number of slots.
  return mbufs == nullptr ? slots : 0;
}

POLLUX_COLD std::uint32_t TxHotPath::reclaim(TxQueue& queue) noexcept {
  const RingIndex before = queue.clean_;
  const bool all_done =
      queue.next_ != queue.clean_ && tx::done(io::load_acquire(queue.ring_[(queue.next_ - 1).slot(queue.mask_)].hi));
  for (;;) {
    const std::uint32_t group_left = queue.group_mask_ + 1 - (queue.clean_.value() & queue.group_mask_);
    const std::uint32_t pending = queue.next_.distance_from(queue.clean_);
    const bool group_done = pending >= group_left && tx::done(io::load_acquire(*queue.done_));
    if (pending == 0 || (!all_done && !group_done)) break;
    const std::uint32_t slots = std::min(group_left, pending);
    free_each(queue, queue.clean_, slots);
    if (slots == group_left) end_group(queue);
    queue.clean_ += slots;
    watch_oldest(queue);
  }
  return queue.clean_.distance_from(before);
}

}  // namespace pollux::drivers::intel
