// SPDX-License-Identifier: BSD-3-Clause
#include "runtime/timer_wheel.hpp"

#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>

namespace pollux {

TimerWheel::TimerWheel() = default;

std::uint64_t TimerWheel::tick_of(Time at) noexcept {
  return static_cast<std::uint64_t>(std::max(at, Time::zero()).count()) >> kTickBits;
}

TimerId TimerWheel::add(Time at, std::function<void()> work) {
  if (free_ == kNone) {
    if (entries_.size() == entries_.capacity()) entries_.reserve(2 * entries_.size() + 16);
    due_.reserve(entries_.capacity());  // so that collect_due needs no memory
    entries_.emplace_back();
    free_ = static_cast<std::uint32_t>(entries_.size() - 1);
  }
  const std::uint32_t index = free_;
  Entry& entry = entries_[index];
  free_ = entry.next;
  entry.at = at;
  entry.number = ++numbers_;
  entry.work = std::move(work);
  link(index);
  ++count_;
  return {.index = index, .generation = entry.generation};
}

bool TimerWheel::cancel(TimerId timer) noexcept {
  if (timer.index >= entries_.size()) return false;
  Entry& entry = entries_[timer.index];
  if (entry.number == 0 || entry.generation != timer.generation || !entry.work) return false;
  if (entry.is_due) {
    // run_due frees the entry. The work is destroyed after it has left the entry, since its destructor may cancel, too.
    static_cast<void>(std::exchange(entry.work, nullptr));
    return true;
  }
  unlink(timer.index);
  static_cast<void>(take(timer.index));
  return true;
}

void TimerWheel::clear() noexcept {
  while (count_ != 0) {
    for (std::uint32_t i = 0; i < entries_.size(); ++i) cancel({.index = i, .generation = entries_[i].generation});
  }
}

Time TimerWheel::next() const noexcept {
  const Position first = first_slot();
  return first.level == kLevels ? Time::max() : levels_[first.level].slots[first.slot].earliest;
}

// Timers of a level are later than all timers of the levels below. Slots before that of the wheel's time are empty.
TimerWheel::Position TimerWheel::first_slot() const noexcept {
  unsigned level = 0;
  while (level < kLevels && levels_[level].occupied == 0) ++level;
  return {level, level == kLevels ? 0U : static_cast<unsigned>(std::countr_zero(levels_[level].occupied))};
}

std::uint64_t TimerWheel::start_of(Position position) const noexcept {
  const unsigned shift = position.level * kSlotBits;
  const std::uint64_t above = (tick_ >> shift >> kSlotBits) << kSlotBits;
  return (above | position.slot) << shift;
}

void TimerWheel::link(std::uint32_t index) noexcept {
  Entry& entry = entries_[index];
  const std::uint64_t tick = std::max(tick_of(entry.at), tick_);
  const std::uint64_t differs = tick ^ tick_;
  const unsigned level = differs == 0 ? 0 : static_cast<unsigned>(std::bit_width(differs) - 1) / kSlotBits;
  const unsigned slot = static_cast<unsigned>(tick >> (level * kSlotBits)) % kSlots;
  Slot& list = levels_[level].slots[slot];
  levels_[level].occupied |= std::uint64_t{1} << slot;
  list.earliest = std::min(list.earliest, entry.at);
  entry.level = static_cast<std::uint16_t>(level);
  entry.slot = static_cast<std::uint16_t>(slot);
  entry.previous = kNone;
  entry.next = list.first;
  if (list.first != kNone) entries_[list.first].previous = index;
  list.first = index;
}

void TimerWheel::unlink(std::uint32_t index) noexcept {
  const Entry& entry = entries_[index];
  if (entry.next != kNone) entries_[entry.next].previous = entry.previous;
  if (entry.previous != kNone) {
    entries_[entry.previous].next = entry.next;
    return;
  }
  Level& level = levels_[entry.level];
  level.slots[entry.slot].first = entry.next;
  if (entry.next != kNone) return;
  level.slots[entry.slot].earliest = Time::max();
  level.occupied &= ~(std::uint64_t{1} << entry.slot);
}

void TimerWheel::collect_due(Time now) noexcept {
  const std::uint64_t target = std::max(tick_of(now), tick_);
  for (Position first = first_slot(); first.level < kLevels; first = first_slot()) {
    const std::uint64_t start = start_of(first);
    if (start > target) break;
    tick_ = std::max(tick_, start);
    empty_slot(first, now);
    // What is left in the slot of this tick is due later in it.
    if (first.level == 0 && start == target) break;
  }
  tick_ = target;
  std::ranges::sort(due_, {}, [](const Due& due) { return std::tuple(due.at, due.number); });
}

void TimerWheel::empty_slot(Position position, Time now) noexcept {
  Slot& slot = levels_[position.level].slots[position.slot];
  std::uint32_t index = std::exchange(slot.first, kNone);
  slot.earliest = Time::max();
  levels_[position.level].occupied &= ~(std::uint64_t{1} << position.slot);
  while (index != kNone) {
    Entry& entry = entries_[index];
    const std::uint32_t next = entry.next;
    if (entry.at <= now) {
      entry.is_due = true;
      due_.push_back({entry.at, entry.number, index});
    } else {
      link(index);
    }
    index = next;
  }
}

std::function<void()> TimerWheel::take(std::uint32_t index) noexcept {
  Entry& entry = entries_[index];
  entry.number = 0;
  ++entry.generation;
  entry.is_due = false;
  entry.next = std::exchange(free_, index);
  --count_;
  return std::exchange(entry.work, nullptr);
}

}  // namespace pollux
