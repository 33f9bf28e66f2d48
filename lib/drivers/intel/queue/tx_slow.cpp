// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "base/compiler.hpp"
#include "drivers/intel/queue/tx_hot_path.hpp"
#include "hw/intel/descriptors.hpp"
#include "mem/context_state.hpp"
#include "mem/ownership.hpp"
#include "net/frame_size.hpp"
#include "pollux/base/io.hpp"

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

/// Bytes of the tags that prepare_request may insert.
constexpr std::uint32_t kInsertedTags = 8;

// The slots of a buffer; an empty one is counted, too.
std::uint32_t slots_of(std::uint32_t length) noexcept {
  return length <= hw::intel::kTxSegmentMax ? 1 : (length + hw::intel::kTxSegmentMax - 1) / hw::intel::kTxSegmentMax;
}

// The slots of a frame whose segments may each get `more` bytes.
std::uint32_t slots_of(Mbuf& frame, std::uint32_t more = 0) noexcept {
  std::uint32_t slots = 0;
  for (const Mbuf* segment = &frame; segment != nullptr; segment = segment->next())
    slots += slots_of(segment->length() + more);
  return slots;
}

// Bytes of the longest frame with this request, before it is prepared.
std::uint32_t longest(const TxOffload& request, std::uint32_t max_frame) noexcept {
  if (is_segmented(request)) return kMaxTso;
  return max_frame + ((request.flags & TxOffload::without_fcs) != 0 ? kFcsBytes : 0);
}

// The most slots that a frame needs after prepare_request.
std::uint32_t slots_with_tags(Mbuf& frame) noexcept { return slots_of(frame, kInsertedTags); }

}  // namespace

template <bool kRequest>
POLLUX_ALWAYS_INLINE std::uint64_t* TxHotPath::check(TxQueue& queue, Mbuf& frame, TxCommand& command) noexcept {
  TxDrops& drops = queue.drops_;
  if (kRequest && (MbufAccess::tx_offload(frame).flags & ~queue.limits().offloads) != 0) [[unlikely]]
    return &drops.unsupported_offload;
  // A frame with an offload request may need one more slot, for its context.
  const bool is_long = kRequest && is_segmented(MbufAccess::tx_offload(frame));
  const std::uint32_t max_segments =
      std::min(is_long ? kMaxTsoSegments : TxQueue::kMaxSegments, queue.mask_ - (kRequest ? 1 : 0));
  std::uint32_t segments = 0;
  std::uint64_t bytes = 0;
  bool has_empty = false;
  const ContextState* const context = queue.context();
  for (Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    const std::uint32_t length = segment->length();
    if (++segments > max_segments) return &drops.too_many_segments;
    const std::uint32_t capacity = capacity_of(*segment);
    if (!is_reachable(*segment, context, capacity)) return &drops.unreachable;
    if (length == 0) {
      has_empty = true;
    } else if (MbufAccess::data_offset(*segment) + length > capacity) {
      return &drops.bad_segment;
    }
    bytes += length;
  }
  if (bytes < TxQueue::kMinFrame) return &drops.too_short;
  if (bytes > (kRequest ? longest(MbufAccess::tx_offload(frame), queue.limits().max_frame) : queue.limits().max_frame))
    return &drops.too_long;
  // Only a request for segmentation may have buffers that need several slots.
  if (is_long && slots_with_tags(frame) > std::min(kMaxTsoSlots, queue.mask_ - 1)) return &drops.too_many_segments;
  if (has_empty) return &drops.bad_segment;
  command.payload = static_cast<std::uint32_t>(bytes);
  return kRequest ? prepare_request(drops, frame,
                                    {.max_frame = queue.limits().max_frame,
                                     .inserts_tags = queue.card_inserts_tags_,
                                     .segments_tunnels = queue.segments_tunnels_},
                                    command)
                  : nullptr;
}

std::uint64_t* TxHotPath::drop_counter(TxQueue& queue, Mbuf& frame, TxCommand& command) noexcept {
  return has_request(&frame) ? check<true>(queue, frame, command) : check<false>(queue, frame, command);
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
    queue.contents_[group] |= TxQueue::kMixed;
    if (left < to_group_end) break;
    queue.report_slot_[group] = last;
    slot += to_group_end;
    left -= to_group_end;
  }
  watch_oldest(queue);
}

// One slot for each segment. The copies of the queue's members stay in registers: no store can alias them.
POLLUX_ALWAYS_INLINE void TxHotPath::put_whole(TxQueue& queue, RingIndex& next, Mbuf& frame, std::uint32_t payload,
                                               std::uint64_t flags) noexcept {
  hw::intel::Descriptor* const ring = queue.ring_;
  Mbuf** const slots = queue.slots_;
  const std::uint32_t mask = queue.mask_;
  RingIndex at = next;
  for (Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    const std::uint32_t slot = at.slot(mask);
    ring[slot] = tx::data(segment->data_iova(), segment->length(), payload, flags);
    slots[slot] = segment;
    ++at;
  }
  next = at;
}

// The last slot of a buffer has the mbuf, so that it is freed when all of it has been sent.
POLLUX_COLD void TxHotPath::put_split(TxQueue& queue, RingIndex& next, Mbuf& frame, std::uint32_t payload,
                                      std::uint64_t flags) noexcept {
  for (Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    for (std::uint32_t at = 0; at < segment->length(); at += hw::intel::kTxSegmentMax) {
      const std::uint32_t left = segment->length() - at;
      put(queue, next, tx::data(segment->data_iova() + at, std::min(left, hw::intel::kTxSegmentMax), payload, flags),
          left <= hw::intel::kTxSegmentMax ? segment : nullptr);
    }
  }
}

POLLUX_COLD void TxHotPath::invert_bits(TxQueue& queue, RingIndex first, RingIndex end, std::uint64_t bits) noexcept {
  for (RingIndex at = first; at != end; ++at) queue.ring_[at.slot(queue.mask_)].hi ^= bits;
}

template <bool kRequest>
POLLUX_ALWAYS_INLINE TxHotPath::Outcome TxHotPath::send_any(TxQueue& queue, Mbuf* frame, RingIndex& next) noexcept {
  if constexpr (ownership::kChecked) {
    if (!ownership::may_send(frame, *queue.context())) {
      // The caller does not own the mbuf, so it must not be freed here. An mbuf of another Context returns to its pool.
      if (frame != nullptr && &MbufAccess::pool(*frame).context() != queue.context()) {
        return drop(queue, *frame, queue.drops_.unreachable);
      }
      add_to(queue.drops_.unreachable, std::uint64_t{1});
      return Outcome::dropped;
    }
  }
  TxCommand command;
  if (std::uint64_t* const counter = check<kRequest>(queue, *frame, command)) return drop(queue, *frame, *counter);
  const std::uint32_t contexts = kRequest ? queue.contexts_.slots_for(command) : 0;
  const bool is_split = kRequest && (command.flags & tx::kSegment) != 0;
  const std::uint32_t slots = (is_split ? slots_of(*frame) : frame->segments()) + contexts;
  // A burst cleans full groups only. In a small ring, a long frame may also need the done slots of the last group.
  if (slots > free_slots(queue, next) && next == queue.next_) reclaim(queue);
  if (slots > free_slots(queue, next)) return Outcome::no_room;
  const RingIndex first = next;
  if (contexts != 0) put(queue, next, queue.contexts_.replace_oldest(command), nullptr);
  const std::uint64_t flags = kRequest && command.has_context ? command.flags | queue.contexts_.select(command) : 0;
  if (is_split) [[unlikely]] {
    put_split(queue, next, *frame, command.payload, flags);
  } else {
    put_whole(queue, next, *frame, command.payload, flags);
  }
  if (kRequest && command.inverted != 0) [[unlikely]]
    invert_bits(queue, first + contexts, next, command.inverted);
  queue.ring_[(next - 1).slot(queue.mask_)].hi |= tx::kEndOfPacket | tx::kReportStatus;
  move_reports(queue, first, next);
  if (kRequest && command.repeats) remember_request(queue, *frame, command);
  return Outcome::queued;
}

POLLUX_NOINLINE TxHotPath::Outcome TxHotPath::send_slow(TxQueue& queue, Mbuf* frame, RingIndex& next) noexcept {
  return send_any<false>(queue, frame, next);
}

POLLUX_NOINLINE TxHotPath::Outcome TxHotPath::send_request(TxQueue& queue, Mbuf* frame, RingIndex& next) noexcept {
  return send_any<true>(queue, frame, next);
}

template <bool kGaps>
POLLUX_ALWAYS_INLINE void TxHotPath::free_slots_each(TxQueue& queue, RingIndex first, std::uint32_t count) noexcept {
  Mbuf** const slots = queue.slots_;
  MempoolCacheCore* const cache = queue.cache_;
  const std::uint32_t mask = queue.mask_;
  for (std::uint32_t i = 0; i < count; ++i) {
    Mbuf* const segment = slots[(first + i).slot(mask)];
    if (kGaps && segment == nullptr) continue;
    if (ownership::kChecked && !ownership::mark_free(*segment)) continue;
    if (cache != nullptr) {
      cache->free_segment(*segment);
    } else {
      free_segment_shared(*segment);
    }
  }
}

void TxHotPath::free_each(TxQueue& queue, RingIndex first, std::uint32_t count) noexcept {
  if (queue.has_spares_) return;  // a forward path exchanges them for received buffers
  if (queue.contexts_.any()) {
    free_slots_each<true>(queue, first, count);
  } else {
    free_slots_each<false>(queue, first, count);
  }
}

void TxHotPath::reset_group(TxQueue& queue, std::uint32_t group) noexcept {
  queue.contents_[group] = TxQueue::kDirect;
  queue.report_slot_[group] = (group << queue.group_shift_) + queue.group_mask_;
}

void TxHotPath::end_group(TxQueue& queue) noexcept {
  const std::uint32_t first = queue.clean_.slot(queue.mask_);
  const std::uint32_t group = first >> queue.group_shift_;
  reset_group(queue, group);
  // If clean_ was inside the group, frames of the next lap may already be in the slots before it.
  const std::uint32_t lap_left = queue.mask_ + 1 - (first & queue.group_mask_);
  if (queue.next_.distance_from(queue.clean_) > lap_left) queue.contents_[group] = TxQueue::kMixed;
}

// The mbufs between the gaps are direct ones of the cache's pool: only pointers are moved.
POLLUX_ALWAYS_INLINE void TxHotPath::free_between_gaps(TxQueue& queue, std::uint32_t slots) noexcept {
  MempoolCacheCore& cache = *queue.cache_;
  cache.make_room(kGroup);
  Mbuf** to = cache.objects();
  Mbuf** const end = to;
  const auto take = [&to](Mbuf* mbuf) {
    to[-1] = mbuf;
    to -= mbuf != nullptr ? 1 : 0;
  };
  Mbuf* const* from = queue.slots_ + queue.clean_.slot(queue.mask_);
  for (; slots % 4 != 0; --slots) take(*from++);
  for (; slots != 0; slots -= 4, from += 4) {
    take(from[0]);
    take(from[1]);
    take(from[2]);
    take(from[3]);
  }
  cache.set_first(cache.first - static_cast<std::uint32_t>(end - to));
}

POLLUX_NOINLINE void TxHotPath::free_group(TxQueue& queue, std::uint32_t slots) noexcept {
  const std::uint32_t group = queue.clean_.slot(queue.mask_) >> queue.group_shift_;
  if (!ownership::kChecked && queue.contents_[group] == TxQueue::kGaps) {
    free_between_gaps(queue, slots);
  } else {
    free_each(queue, queue.clean_, slots);
  }
  end_group(queue);
}

POLLUX_COLD std::uint32_t TxHotPath::idle_burst(TxQueue& queue, Mbuf* const* mbufs) noexcept {
  queue.tail_.flush();
  const std::uint32_t slots = reclaim(queue);
  // A burst of no frames took none. tx_done_cleanup passes no burst and wants the number of slots.
  return mbufs == nullptr ? slots : 0;
}

POLLUX_COLD std::uint32_t TxHotPath::reclaim(TxQueue& queue) noexcept {
  if (queue.head_ != nullptr) mark_sent(queue);
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
