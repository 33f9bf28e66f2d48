// SPDX-License-Identifier: BSD-3-Clause
#include "models/virtio/net/queue.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

namespace pollux::models::virtio {
namespace {

constexpr std::uint32_t kDescriptorBytes = sizeof(hw::SplitDescriptor);
constexpr std::uint64_t kUsedIndex = 0;       // flags and index of the used ring are one word
constexpr std::uint64_t kUsedEntries = 4;     // 2.7.8
constexpr std::uint64_t kAvailableIndex = 2;  // 2.7.6
constexpr std::uint64_t kAvailableEntries = 4;
constexpr std::uint64_t kPackedLength = 8;
constexpr std::uint64_t kPackedFlags = 14;
constexpr std::uint64_t kEventFlags = 2;

}  // namespace

Queue::Queue(Memory& memory, Faults& faults, std::uint16_t number, std::uint16_t max_size)
    : memory_(memory), faults_(faults), number_(number), max_size_(max_size) {
  reset();
}

void Queue::reset() noexcept {
  setup_ = {.size = max_size_};
  enabled_ = false;
  taken_ = used_ = {};
  unreported_ = 0;
  used_flags_ = 0;
  asks_for_kicks_ = true;
  staged_.clear();
}

// 2.7 and 2.8: alignment of the three parts.
bool Queue::enable(hw::Features features) noexcept {
  features_ = features;
  const std::uint64_t driver_alignment = packed() ? hw::kAreaAlignment : 2;
  if (setup_.areas[0] % hw::kDescriptorAlignment != 0 || setup_.areas[1] % driver_alignment != 0 ||
      setup_.areas[2] % hw::kAreaAlignment != 0)
    return false;
  enabled_ = true;
  return true;
}

Queue::Take Queue::broken(const char* why) noexcept {
  why_ = why;
  return Take::broken;
}

// A split ring's indices are free-running; a packed ring's wrap at its size.
void Queue::step(Position& position, std::uint32_t slots) const noexcept {
  std::uint32_t next = position.next + slots;
  if (packed() && next >= setup_.size) {
    next -= setup_.size;
    position.wrap = !position.wrap;
  }
  position.next = static_cast<std::uint16_t>(next);
  position.slots += slots;
}

bool Queue::available() {
  if (!enabled_ || !memory_.active()) return false;
  if (packed()) {
    const auto flags = memory_.acquire(number_, setup_.areas[0] + taken_.next * kDescriptorBytes + kPackedFlags);
    return flags && (*flags & (hw::kPackedAvail | hw::kPackedUsed)) == hw::packed_available(taken_.wrap);
  }
  const auto index = memory_.acquire(number_, setup_.areas[1] + kAvailableIndex);
  return index && *index != taken_.next;
}

Queue::Take Queue::take(Chain& chain) {
  if (!enabled_ || !memory_.active()) return Take::empty;
  chain.readable.clear();
  chain.writable.clear();
  return packed() ? take_packed(chain) : take_split(chain);
}

// 2.7.4.2 and 2.8.19: what the device writes comes after what it reads. [I-V-CHAIN] An indirect table may be longer
// than the queue, but not than the device's maximum. [I-V-EMPTY] A buffer without bytes is refused, as by QEMU
// (virtio.c, virtqueue_map_desc).
Queue::Take Queue::add(Chain& chain, std::uint64_t iova, std::uint32_t length, bool writable) {
  if (length == 0) return broken("a buffer has no bytes");
  if (chain.readable.size() + chain.writable.size() >= max_size_) return broken("a chain is longer than the queue");
  if (!writable && !chain.writable.empty()) return broken("a readable buffer follows a writable one");
  (writable ? chain.writable : chain.readable).push_back({iova, length});
  return Take::taken;
}

// 2.7.6: the index is free-running, so it is at most the queue's size ahead of what was used.
Queue::Take Queue::take_split(Chain& chain) {
  const auto index = memory_.acquire(number_, setup_.areas[1] + kAvailableIndex);
  if (!index) return broken("the available ring cannot be read");
  const auto ahead = static_cast<std::uint16_t>(*index - taken_.next);
  if (ahead == 0) return Take::empty;
  if (!has_room_for(ahead)) return broken("the available index is further ahead than the queue is long");
  const auto mask = static_cast<std::uint16_t>(setup_.size - 1);
  const auto head = memory_.read<std::uint16_t>(
      number_, setup_.areas[1] + kAvailableEntries + sizeof(std::uint16_t) * (taken_.next & mask));
  if (!head) return broken("the available ring cannot be read");
  chain.id = *head;
  chain.slots = 1;
  std::uint16_t at = *head;
  for (std::uint32_t count = 0;; ++count) {
    if (at >= setup_.size) return broken("a descriptor's index is beyond the queue");
    if (count >= setup_.size) return broken("a chain of descriptors loops");
    const auto descriptor = memory_.read<hw::SplitDescriptor>(number_, setup_.areas[0] + at * kDescriptorBytes);
    if (!descriptor) return broken("the descriptors cannot be read");
    if ((descriptor->flags & hw::kDescIndirect) != 0) {
      // 2.7.5.3: direct descriptors may precede the table, none may follow.
      if ((descriptor->flags & hw::kDescNext) != 0) return broken("a descriptor follows an indirect table");
      if (const Take done = take_indirect(chain, descriptor->address, descriptor->length); done != Take::taken)
        return done;
      break;
    }
    const Take added = add(chain, descriptor->address, descriptor->length, (descriptor->flags & hw::kDescWrite) != 0);
    if (added != Take::taken) return added;
    if ((descriptor->flags & hw::kDescNext) == 0) break;
    at = descriptor->next;
  }
  step(taken_, 1);
  return Take::taken;
}

// 2.7.5.3 and 2.8.8. A split table is chained by `next`, a packed one is in order.
Queue::Take Queue::take_indirect(Chain& chain, std::uint64_t table, std::uint32_t bytes) {
  if (!has(hw::feature::kIndirectDesc)) return broken("an indirect table without INDIRECT_DESC");
  if (bytes == 0 || bytes % kDescriptorBytes != 0) return broken("an indirect table has an odd length");
  const std::uint32_t entries = bytes / kDescriptorBytes;
  std::uint32_t at = 0;
  for (std::uint32_t count = 0; at < entries; ++count) {
    if (count >= entries) return broken("an indirect table loops");
    const auto descriptor = memory_.read<hw::SplitDescriptor>(number_, table + std::uint64_t{at} * kDescriptorBytes);
    if (!descriptor) return broken("an indirect table cannot be read");
    // A packed descriptor has its id and flags in the other order.
    const std::uint16_t flags = packed() ? descriptor->next : descriptor->flags;
    if (!packed() && (flags & hw::kDescIndirect) != 0) return broken("an indirect table within another");
    const Take added = add(chain, descriptor->address, descriptor->length, (flags & hw::kDescWrite) != 0);
    if (added != Take::taken) return added;
    if (packed()) {
      ++at;
      continue;
    }
    if ((flags & hw::kDescNext) == 0) return Take::taken;
    at = descriptor->next;
  }
  return packed() ? Take::taken : broken("an index is beyond its indirect table");
}

Queue::Take Queue::take_packed(Chain& chain) {
  Position at = taken_;
  chain.slots = 0;
  for (;;) {
    const std::uint64_t place = setup_.areas[0] + at.next * kDescriptorBytes;
    // Length, id and flags are the word that the driver writes last; the flags alone would be another object.
    const auto word = memory_.acquire<std::uint64_t>(number_, place + kPackedLength);
    if (!word) return broken("the descriptors cannot be read");
    const auto flags = static_cast<std::uint16_t>(*word >> 48);
    if ((flags & (hw::kPackedAvail | hw::kPackedUsed)) != hw::packed_available(at.wrap)) {
      return chain.slots == 0 ? Take::empty : broken("a chain ends in a descriptor that is not available");
    }
    const auto address = memory_.read<std::uint64_t>(number_, place);
    if (!address) return broken("the descriptors cannot be read");
    const auto length = static_cast<std::uint32_t>(*word);
    if (!has_room_for(++chain.slots)) return broken("more descriptors are available than the queue has");
    chain.id = static_cast<std::uint16_t>(*word >> 32);
    step(at, 1);
    if ((flags & hw::kDescIndirect) != 0) {
      // 2.8.8: an indirect table is no part of a chain.
      if (chain.slots != 1 || (flags & hw::kDescNext) != 0) return broken("an indirect table in a chain");
      if (const Take done = take_indirect(chain, *address, length); done != Take::taken) return done;
      break;
    }
    const Take added = add(chain, *address, length, (flags & hw::kDescWrite) != 0);
    if (added != Take::taken) return added;
    if ((flags & hw::kDescNext) == 0) break;
  }
  taken_ = at;
  return Take::taken;
}

// [I-V-INORDER] With IN_ORDER one used entry stands for all that were staged if nobody needs the lengths of the others
// (2.7.9, 2.8.13.1). That is so for transmit queues.
void Queue::merge_staged() {
  if (!has(hw::feature::kInOrder) || number_ % 2 == 0 || staged_.size() < 2) return;
  Used last = staged_.back();
  last.slots = 0;
  for (const Used& used : staged_) last.slots = static_cast<std::uint16_t>(last.slots + used.slots);
  staged_.assign(1, last);
}

void Queue::apply_fault() {
  const bool receives = number_ % 2 == 0;
  for (std::size_t i = 0; i < staged_.size(); ++i) {
    Used& used = staged_[i];
    if (faults_.strikes(FaultKind::used_id, receives)) used.id = packed() ? 0xFFFF : setup_.size + 1U;
    if (faults_.strikes(FaultKind::used_length, receives)) used.length = 0x7FFFFFFF;
    if (faults_.strikes(FaultKind::used_twice, receives)) {
      staged_.insert(staged_.begin() + static_cast<std::ptrdiff_t>(i), Used(used));
      break;
    }
    if (faults_.strikes(FaultKind::used_never, receives)) {
      staged_.erase(staged_.begin() + static_cast<std::ptrdiff_t>(i));
      break;
    }
    if (!faults_.strikes(FaultKind::index_jump, receives)) continue;
    packed() ? void(used_.wrap = !used_.wrap)
             : void(used_.next = static_cast<std::uint16_t>(used_.next + setup_.size + 1));
  }
}

bool Queue::publish(bool lies) {
  if (staged_.empty()) return true;
  merge_staged();
  if (lies) apply_fault();
  const bool done = packed() ? publish_packed() : publish_split();
  staged_.clear();
  return done;
}

bool Queue::publish_split() {
  const auto mask = static_cast<std::uint16_t>(setup_.size - 1);
  for (const Used& used : staged_) {
    const hw::UsedElement element{used.id, used.length};
    const std::uint64_t at = setup_.areas[2] + kUsedEntries + sizeof element * (used_.next & mask);
    const auto bytes = std::as_bytes(std::span(&element, 1));
    // Two words of four bytes: the entries are no multiple of eight from the start of a page.
    if (!memory_.write(write_back(), number_, at, bytes.first(4)) ||
        !memory_.write(write_back(), number_, at + 4, bytes.subspan(4)))
      return false;
    step(used_, used.slots);
    unreported_ += used.slots;
  }
  return write_used_word();
}

// The driver reads two words of two bytes; an interceptor knows only words of four, and is told of both as one.
bool Queue::write_used_word() {
  const std::uint64_t at = setup_.areas[2] + kUsedIndex;
  if (!memory_.intercepted()) {
    return memory_.store(number_, at, used_flags_) && memory_.store(number_, at + sizeof used_flags_, used_.next);
  }
  const hw::UsedRing word{used_flags_, used_.next};
  return memory_.write(write_back(), number_, at, std::as_bytes(std::span(&word, 1)));
}

// The first entry last: until then the driver sees none of them. Length, id and flags are one word of eight bytes.
bool Queue::publish_packed() {
  std::vector<Position> places;
  for (const Used& used : staged_) {
    places.push_back(used_);
    step(used_, used.slots);
    unreported_ += used.slots;
  }
  for (std::size_t i = staged_.size(); i-- > 0;) {
    const Used& used = staged_[i];
    const std::uint16_t write = used.length != 0 ? hw::kDescWrite : std::uint16_t{0};
    const hw::PackedDescriptor descriptor{0, used.length, static_cast<std::uint16_t>(used.id),
                                          static_cast<std::uint16_t>(hw::packed_used(places[i].wrap) | write)};
    const std::uint64_t at = setup_.areas[0] + places[i].next * kDescriptorBytes + kPackedLength;
    if (!memory_.write(write_back(), number_, at, std::as_bytes(std::span(&descriptor, 1)).subspan(kPackedLength)))
      return false;
  }
  return true;
}

// The driver may ask after the entries were published, so its word is read after them: a full barrier.
bool Queue::take_interrupt() {
  constexpr std::uint32_t kMostCounted = 0xFFFF;
  const std::uint32_t used = std::exchange(unreported_, 0);
  if (used == 0 || !enabled_ || !memory_.active()) return false;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  // More than an index counts may have been used while the limits of coalescing held the message back.
  return wants_interrupt(static_cast<std::uint16_t>(std::min(used, kMostCounted)));
}

// 2.7.7.2 for split rings. 2.8.10 for packed ones: the event is a place up to one round behind the next one.
bool Queue::wants_interrupt(std::uint16_t used) {
  if (!packed()) {
    if (!has(hw::feature::kEventIdx)) return (memory_.acquire(number_, setup_.areas[1]).value_or(0) & 1) == 0;
    const auto event = memory_.acquire(number_, setup_.areas[1] + hw::split_used_event(setup_.size));
    return event && hw::passes_event(*event, used_.next, static_cast<std::uint16_t>(used_.next - used));
  }
  const auto flags = memory_.acquire(number_, setup_.areas[1] + kEventFlags);
  if (!flags || (*flags & hw::kEventFlags) == hw::kEventDisable) return false;
  if ((*flags & hw::kEventFlags) != hw::kEventDescriptor || !has(hw::feature::kEventIdx)) return true;
  const auto event = memory_.acquire(number_, setup_.areas[1]).value_or(0);
  const bool same_round = (event >> hw::kWrapBit != 0) == used_.wrap;
  const int behind = used_.next - (event & 0x7FFF) + (same_round ? 0 : setup_.size);
  return behind >= 1 && behind <= used;
}

// The entry after those that are there, though not all of them may have been taken: too few for a frame. If the driver
// adds some meanwhile, it has not seen the wish.
void Queue::ask_for_next_entry() {
  const std::uint64_t event = setup_.areas[2] + hw::split_avail_event(setup_.size);
  for (std::uint32_t tries = 0; tries <= setup_.size; ++tries) {
    const auto index = memory_.acquire(number_, setup_.areas[1] + kAvailableIndex);
    if (!index || !memory_.store(number_, event, *index)) return;
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (memory_.acquire(number_, setup_.areas[1] + kAvailableIndex) == index) return;
  }
}

void Queue::ask_for_kicks(bool wanted) {
  if (!enabled_ || !memory_.active()) return;
  const bool same = std::exchange(asks_for_kicks_, wanted) == wanted;
  // An event of a split ring lasts for one step; all others last until they change.
  const bool moves = !packed() && has(hw::feature::kEventIdx) && wanted;
  if (same && !moves) return;
  if (packed()) {
    const hw::EventSuppression event{0, wanted ? hw::kEventEnable : hw::kEventDisable};
    static_cast<void>(memory_.write(write_back(), number_, setup_.areas[2], std::as_bytes(std::span(&event, 1))));
  } else if (has(hw::feature::kEventIdx)) {
    if (moves) ask_for_next_entry();
  } else {
    used_flags_ = wanted ? std::uint16_t{0} : hw::kNoNotify;
    static_cast<void>(write_used_word());
  }
  if (wanted) std::atomic_thread_fence(std::memory_order_seq_cst);
}

}  // namespace pollux::models::virtio
