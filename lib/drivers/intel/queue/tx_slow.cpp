// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "base/compiler.hpp"
#include "drivers/intel/queue/tx_ring.hpp"
#include "hw/intel/descriptors.hpp"
#include "hw/intel/extended_descriptors.hpp"
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
template <class Format>
std::uint32_t slots_of(std::uint32_t length) noexcept {
  return length <= Format::kSegmentMax ? 1 : (length + Format::kSegmentMax - 1) / Format::kSegmentMax;
}

// The slots of a frame whose segments may each get `more` bytes.
template <class Format>
std::uint32_t slots_of(Mbuf& frame, std::uint32_t more = 0) noexcept {
  std::uint32_t slots = 0;
  for (const Mbuf* segment = &frame; segment != nullptr; segment = segment->next())
    slots += slots_of<Format>(segment->length() + more);
  return slots;
}

// Bytes of the longest frame with this request, before it is prepared.
std::uint32_t longest(const TxOffload& request, std::uint32_t max_frame) noexcept {
  if (is_segmented(request)) return kMaxTso;
  return max_frame + ((request.flags & TxOffload::without_fcs) != 0 ? kFcsBytes : 0);
}

/// Advanced descriptors in the slow path: a context for each of two indices, the packet's length in each descriptor.
struct AdvancedDescriptors {
  static constexpr std::uint32_t kSegmentMax = hw::intel::kTxSegmentMax;
  static constexpr std::uint64_t kSegment = tx::kSegment;
  static POLLUX_ALWAYS_INLINE hw::intel::Descriptor data(std::uint64_t address, std::uint32_t bytes,
                                                         std::uint32_t packet, std::uint64_t flags) noexcept {
    return tx::data(address, bytes, packet, flags);
  }
  static POLLUX_ALWAYS_INLINE std::uint64_t* prepare(TxDrops& drops, Mbuf& frame, const TxAbilities& card,
                                                     TxCommand& command) noexcept {
    return prepare_request(drops, frame, card, command);
  }
  static POLLUX_ALWAYS_INLINE std::uint32_t context_slots(const TxContexts& contexts,
                                                          const TxCommand& command) noexcept {
    return contexts.slots_for(command);
  }
  static POLLUX_ALWAYS_INLINE hw::intel::Descriptor replace(TxContexts& contexts, const TxCommand& command) noexcept {
    return contexts.replace_oldest(command);
  }
  static POLLUX_ALWAYS_INLINE std::uint64_t flags(TxContexts& contexts, const TxCommand& command) noexcept {
    return command.has_context ? command.flags | contexts.select(command) : 0;
  }
};

/// Extended descriptors: one context, and a frame's tag in its data descriptors. The card has one context for all of
/// its queues, so with several each request needs its own (FreeBSD, em_txrx.c, em_transmit_checksum_setup, which names
/// the 82574's datasheet, 7.2.6). `Alone`: the port has one transmit queue; requests for segmentation need their own,
/// too.
template <bool Alone>
struct ExtendedDescriptors {
  static constexpr std::uint32_t kSegmentMax = tx::extended::kSegmentMax;
  static constexpr std::uint64_t kSegment = tx::extended::kSegment;
  static POLLUX_ALWAYS_INLINE hw::intel::Descriptor data(std::uint64_t address, std::uint32_t bytes,
                                                         std::uint32_t /*packet*/, std::uint64_t flags) noexcept {
    return tx::extended::data(address, bytes, flags);
  }
  static std::uint64_t* prepare(TxDrops& drops, Mbuf& frame, const TxAbilities& card, TxCommand& command) noexcept {
    constexpr std::uint32_t kFarthest = 255 - 16;  // offsets have eight bits; TCP's checksum is the last
    constexpr std::uint32_t kMostHeaders = 255;
    const TxOffload& request = MbufAccess::tx_offload(frame);
    const bool is_sctp = (request.flags & TxOffload::sctp_checksum) != 0;
    if (is_sctp || (request.has_lengths() && request.l4_offset() > kFarthest)) {
      return prepare_in_software(drops, frame, card, command);
    }
    const bool is_long = is_segmented(request);
    if (is_long && headers_of(request) > kMostHeaders) return &drops.bad_offload;
    std::uint64_t* const counter = prepare_request(drops, frame, card, command);
    if (counter != nullptr || !command.has_context) return counter;
    constexpr std::uint64_t kSums = tx::kInsertIpChecksum | tx::kInsertL4Checksum;
    const tx::Context context = tx::context_of(command.context);
    if ((command.flags & tx::kInsertVlan) != 0) {
      command.flags |= std::uint64_t{context.vlan} << tx::extended::kTagShift;
    }
    command.has_context = (command.flags & kSums) != 0;
    command.context = tx::extended::context(context, is_long ? command.payload : 0);
    if (is_long) command.flags = (command.flags & ~tx::kSegment) | kSegment;
    command.repeats = Alone && !is_long && command.repeats && command.has_context;
    return nullptr;
  }
  static std::uint32_t context_slots(const TxContexts& contexts, const TxCommand& command) noexcept {
    if (Alone && (command.flags & kSegment) == 0) return contexts.slots_for(command);
    return command.has_context ? 1 : 0;
  }
  static hw::intel::Descriptor replace(TxContexts& contexts, const TxCommand& command) noexcept {
    return contexts.replace_only(command);
  }
  static std::uint64_t flags(TxContexts& /*contexts*/, const TxCommand& command) noexcept { return command.flags; }
};

template <class Format, bool kRequest>
POLLUX_ALWAYS_INLINE std::uint64_t* check(TxRing& ring, Mbuf& frame, TxCommand& command) noexcept {
  TxDrops& drops = ring.drops_;
  if (kRequest && (MbufAccess::tx_offload(frame).flags & ~ring.limits().offloads) != 0) [[unlikely]]
    return &drops.unsupported_offload;
  // A frame with an offload request may need one more slot, for its context.
  const bool is_long = kRequest && is_segmented(MbufAccess::tx_offload(frame));
  const std::uint32_t max_segments =
      std::min(is_long ? kMaxTsoSegments : TxRing::kMaxSegments, ring.mask - (kRequest ? 1 : 0));
  std::uint32_t segments = 0;
  std::uint64_t bytes = 0;
  bool has_empty = false;
  const ContextState* const context = ring.context();
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
  if (bytes < TxRing::kMinFrame) return &drops.too_short;
  if (bytes > (kRequest ? longest(MbufAccess::tx_offload(frame), ring.limits().max_frame) : ring.limits().max_frame))
    return &drops.too_long;
  // Only a request for segmentation may have buffers that need several slots.
  if (is_long && slots_of<Format>(frame, kInsertedTags) > std::min(kMaxTsoSlots, ring.mask - 1))
    return &drops.too_many_segments;
  if (has_empty) return &drops.bad_segment;
  command.payload = static_cast<std::uint32_t>(bytes);
  return kRequest ? Format::prepare(drops, frame,
                                    {.max_frame = ring.limits().max_frame,
                                     .inserts_tags = ring.card_inserts_tags,
                                     .segments_tunnels = ring.segments_tunnels},
                                    command)
                  : nullptr;
}

}  // namespace

std::uint64_t* tx_drop_counter(TxRing& ring, Mbuf& frame, TxCommand& command) noexcept {
  return has_request(&frame) ? check<AdvancedDescriptors, true>(ring, frame, command)
                             : check<AdvancedDescriptors, false>(ring, frame, command);
}

POLLUX_COLD TxOutcome tx_drop(TxRing& ring, Mbuf& frame, std::uint64_t& counter) noexcept {
  add_to(counter, std::uint64_t{1});
  if (ring.sent_cache != nullptr) {
    ring.sent_cache->free(frame);
  } else {
    MbufDeleter{}(&frame);
  }
  return TxOutcome::dropped;
}

// The card reports whole frames only, so a group that ends inside a frame is done when the frame is.
void move_reports(TxRing& ring, RingIndex first, RingIndex end) noexcept {
  const std::uint32_t last = (end - 1).slot(ring.mask);
  std::uint32_t left = end.distance_from(first);
  for (RingIndex slot = first; left != 0;) {
    const std::uint32_t group = slot.slot(ring.mask) >> ring.group_shift;
    const std::uint32_t to_group_end = ring.group_mask + 1 - (slot.value() & ring.group_mask);
    ring.contents[group] |= TxRing::kMixed;
    if (left < to_group_end) break;
    ring.report_slot[group] = last;
    slot += to_group_end;
    left -= to_group_end;
  }
  watch_oldest(ring);
}

namespace {

// One slot for each segment. The copies of the ring's members stay in registers: no store can alias them.
template <class Format>
POLLUX_ALWAYS_INLINE void put_whole(TxRing& ring, RingIndex& next, Mbuf& frame, std::uint32_t payload,
                                    std::uint64_t flags) noexcept {
  hw::intel::Descriptor* const descriptors = ring.descriptors;
  Mbuf** const slots = ring.slots;
  const std::uint32_t mask = ring.mask;
  RingIndex at = next;
  for (Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    const std::uint32_t slot = at.slot(mask);
    descriptors[slot] = Format::data(segment->data_iova(), segment->length(), payload, flags);
    slots[slot] = segment;
    ++at;
  }
  next = at;
}

// The last slot of a buffer has the mbuf, so that it is freed when all of it has been sent.
template <class Format>
POLLUX_COLD void put_split(TxRing& ring, RingIndex& next, Mbuf& frame, std::uint32_t payload,
                           std::uint64_t flags) noexcept {
  for (Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    for (std::uint32_t at = 0; at < segment->length(); at += Format::kSegmentMax) {
      const std::uint32_t left = segment->length() - at;
      put_descriptor(ring, next,
                     Format::data(segment->data_iova() + at, std::min(left, Format::kSegmentMax), payload, flags),
                     left <= Format::kSegmentMax ? segment : nullptr);
    }
  }
}

POLLUX_COLD void invert_bits(TxRing& ring, RingIndex first, RingIndex end, std::uint64_t bits) noexcept {
  for (RingIndex at = first; at != end; ++at) ring.descriptors[at.slot(ring.mask)].hi ^= bits;
}

template <class Format, bool kRequest>
POLLUX_ALWAYS_INLINE TxOutcome send_frame(TxRing& ring, Mbuf* frame, RingIndex& next) noexcept {
  if constexpr (ownership::kChecked) {
    if (!ownership::may_send(frame, *ring.context())) {
      // The caller does not own the mbuf, so it must not be freed here. An mbuf of another Context returns to its pool.
      if (frame != nullptr && &MbufAccess::pool(*frame).context() != ring.context()) {
        return tx_drop(ring, *frame, ring.drops_.unreachable);
      }
      add_to(ring.drops_.unreachable, std::uint64_t{1});
      return TxOutcome::dropped;
    }
  }
  TxCommand command;
  if (std::uint64_t* const counter = check<Format, kRequest>(ring, *frame, command))
    return tx_drop(ring, *frame, *counter);
  const std::uint32_t contexts = kRequest ? Format::context_slots(ring.contexts, command) : 0;
  const bool is_split = kRequest && (command.flags & Format::kSegment) != 0;
  const std::uint32_t slots = (is_split ? slots_of<Format>(*frame) : frame->segments()) + contexts;
  // A burst cleans full groups only. In a small ring, a long frame may also need the done slots of the last group.
  if (slots > free_slots(ring, next) && next == ring.next) tx_reclaim(ring);
  if (slots > free_slots(ring, next)) return TxOutcome::no_room;
  const RingIndex first = next;
  if (contexts != 0) put_descriptor(ring, next, Format::replace(ring.contexts, command), nullptr);
  const std::uint64_t flags = kRequest ? Format::flags(ring.contexts, command) : 0;
  if (is_split) [[unlikely]] {
    put_split<Format>(ring, next, *frame, command.payload, flags);
  } else {
    put_whole<Format>(ring, next, *frame, command.payload, flags);
  }
  if (kRequest && command.inverted != 0) [[unlikely]]
    invert_bits(ring, first + contexts, next, command.inverted);
  ring.descriptors[(next - 1).slot(ring.mask)].hi |= tx::kEndOfPacket | tx::kReportStatus;
  move_reports(ring, first, next);
  if (kRequest && command.repeats) remember_request(ring, *frame, command);
  return TxOutcome::queued;
}

template <bool kGaps>
POLLUX_ALWAYS_INLINE void free_slots_each(TxRing& ring, RingIndex first, std::uint32_t count) noexcept {
  Mbuf** const slots = ring.slots;
  MempoolCacheCore* const cache = ring.sent_cache;
  const std::uint32_t mask = ring.mask;
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

// The mbufs between the gaps are direct ones of the cache's pool: only pointers are moved.
POLLUX_ALWAYS_INLINE void free_between_gaps(TxRing& ring, std::uint32_t slots) noexcept {
  MempoolCacheCore& cache = *ring.sent_cache;
  cache.make_room(TxRing::kGroup);
  Mbuf** to = cache.objects();
  Mbuf** const end = to;
  const auto take = [&to](Mbuf* mbuf) {
    to[-1] = mbuf;
    to -= mbuf != nullptr ? 1 : 0;
  };
  Mbuf* const* from = ring.slots + ring.clean.slot(ring.mask);
  for (; slots % 4 != 0; --slots) take(*from++);
  for (; slots != 0; slots -= 4, from += 4) {
    take(from[0]);
    take(from[1]);
    take(from[2]);
    take(from[3]);
  }
  cache.set_first(cache.first - static_cast<std::uint32_t>(end - to));
}

template <class Format, bool kRequest>
TxOutcome send_by_slow_path(TxRing& ring, Mbuf* frame, RingIndex& next) noexcept {
  return send_frame<Format, kRequest>(ring, frame, next);
}

}  // namespace

const TxFormat kAdvancedTx{.whole_frame = TxRing::kWholeFrame,
                           .per_byte = TxRing::kPerByte,
                           .send_slow = &send_by_slow_path<AdvancedDescriptors, false>,
                           .send_request = &send_by_slow_path<AdvancedDescriptors, true>,
                           .send_request_alone = &send_by_slow_path<AdvancedDescriptors, true>,
                           .two_lengths = true};
const TxFormat kExtendedTx{.whole_frame = tx::extended::kData | tx::kEndOfPacket,
                           .per_byte = 1,
                           .send_slow = &send_by_slow_path<ExtendedDescriptors<false>, false>,
                           .send_request = &send_by_slow_path<ExtendedDescriptors<false>, true>,
                           .send_request_alone = &send_by_slow_path<ExtendedDescriptors<true>, true>};

void free_each(TxRing& ring, RingIndex first, std::uint32_t count) noexcept {
  if (ring.has_spares) return;  // a forward path exchanges them for received buffers
  if (ring.contexts.any()) {
    free_slots_each<true>(ring, first, count);
  } else {
    free_slots_each<false>(ring, first, count);
  }
}

void reset_group(TxRing& ring, std::uint32_t group) noexcept {
  ring.contents[group] = TxRing::kDirect;
  ring.report_slot[group] = (group << ring.group_shift) + ring.group_mask;
}

void end_group(TxRing& ring) noexcept {
  const std::uint32_t first = ring.clean.slot(ring.mask);
  const std::uint32_t group = first >> ring.group_shift;
  reset_group(ring, group);
  // If `clean` was inside the group, frames of the next lap may already be in the slots before it.
  const std::uint32_t lap_left = ring.mask + 1 - (first & ring.group_mask);
  if (ring.next.distance_from(ring.clean) > lap_left) ring.contents[group] = TxRing::kMixed;
}

POLLUX_NOINLINE void free_group(TxRing& ring, std::uint32_t slots) noexcept {
  const std::uint32_t group = ring.clean.slot(ring.mask) >> ring.group_shift;
  if (!ownership::kChecked && ring.contents[group] == TxRing::kGaps) {
    free_between_gaps(ring, slots);
  } else {
    free_each(ring, ring.clean, slots);
  }
  end_group(ring);
}

POLLUX_COLD std::uint32_t tx_idle(TxRing& ring, Mbuf* const* mbufs) noexcept {
  ring.tail.flush();
  const std::uint32_t slots = tx_reclaim(ring);
  // A burst of no frames took none. tx_done_cleanup passes no burst and wants the number of slots.
  return mbufs == nullptr ? slots : 0;
}

POLLUX_COLD std::uint32_t tx_reclaim(TxRing& ring) noexcept {
  const RingIndex before = ring.clean;
  const bool all_done =
      ring.next != ring.clean && tx::done(io::load_acquire(ring.descriptors[(ring.next - 1).slot(ring.mask)].hi));
  for (;;) {
    const std::uint32_t group_left = ring.group_mask + 1 - (ring.clean.value() & ring.group_mask);
    const std::uint32_t pending = ring.next.distance_from(ring.clean);
    const bool group_done = pending >= group_left && tx::done(io::load_acquire(*ring.done));
    if (pending == 0 || (!all_done && !group_done)) break;
    const std::uint32_t slots = std::min(group_left, pending);
    free_each(ring, ring.clean, slots);
    if (slots == group_left) end_group(ring);
    ring.clean += slots;
    watch_oldest(ring);
  }
  return ring.clean.distance_from(before);
}

}  // namespace pollux::drivers::intel
