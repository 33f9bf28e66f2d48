// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "pollux/base/clock.hpp"
#include "pollux/runtime/poller.hpp"

namespace pollux {

/// A hierarchical timing wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987). To add or cancel a
/// timer takes constant time. Each level has 64 slots, and a slot is as long as all slots of the level below. A timer
/// lies at the level of the highest bit group in which its time differs from the wheel's. It moves to a lower level
/// when its slot is reached. Slots of the lowest level are about a microsecond; timers still run at their exact times.
/// Thread rule: one thread at a time.
class TimerWheel {
 public:
  TimerWheel();

  /// A time that has passed is due at once.
  TimerId add(Time at, std::function<void()> work);
  /// False: it has run, or was cancelled.
  bool cancel(TimerId timer) noexcept;
  /// Destroys all timers without running them, and those that their destructors add. Not in run_due.
  void clear() noexcept;
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  /// The time of the earliest timer, or earlier if one was cancelled; Time::max() if there is none.
  [[nodiscard]] Time next() const noexcept;

  /// Calls `run(work)` for each timer whose time has come, in the order of their times, and of their addition where
  /// times are equal. A timer that `run` adds waits for the next call; one that it cancels does not run. Returns
  /// whether any was due.
  template <class Run>
  bool run_due(Time now, Run run) {
    collect_due(now);
    // What runs may add timers, and so replace the memory of due_.
    for (std::size_t i = 0; i < due_.size(); ++i) {
      if (std::function<void()> work = take(due_[i].entry)) run(work);
    }
    const bool any = !due_.empty();
    due_.clear();
    return any;
  }

 private:
  static constexpr unsigned kTickBits = 10;  // nanoseconds a tick, as a power of two
  static constexpr unsigned kSlotBits = 6;
  static constexpr unsigned kSlots = 1U << kSlotBits;
  static constexpr unsigned kLevels = 9;  // 64 bits of a Time without its sign and the bits of a tick
  static constexpr std::uint32_t kNone = UINT32_MAX;

  /// A timer, or a free entry. Timers of a slot form a list.
  struct Entry {
    Time at{};
    std::uint64_t number = 0;  // in the order of addition; 0: free
    std::uint32_t generation = 0;
    std::uint32_t previous = kNone;
    std::uint32_t next = kNone;
    std::uint16_t level = 0;
    std::uint16_t slot = 0;
    bool is_due = false;  // in due_, in no slot
    std::function<void()> work;
  };
  struct Slot {
    std::uint32_t first = kNone;
    Time earliest = Time::max();  // of its timers, also of those that were cancelled
  };
  struct Level {
    std::uint64_t occupied = 0;  // a bit a slot
    std::array<Slot, kSlots> slots;
  };
  struct Due {
    Time at;
    std::uint64_t number;
    std::uint32_t entry;
  };
  struct Position {
    unsigned level;
    unsigned slot;
  };

  [[nodiscard]] static std::uint64_t tick_of(Time at) noexcept;
  /// The slot that is reached first.
  [[nodiscard]] Position first_slot() const noexcept;
  [[nodiscard]] std::uint64_t start_of(Position position) const noexcept;
  void link(std::uint32_t index) noexcept;
  void unlink(std::uint32_t index) noexcept;
  /// Moves timers whose time has come to due_, and the wheel to `now`.
  void collect_due(Time now) noexcept;
  void empty_slot(Position position, Time now) noexcept;
  /// Frees an entry and returns its work, which is empty if it was cancelled.
  [[nodiscard]] std::function<void()> take(std::uint32_t index) noexcept;

  std::array<Level, kLevels> levels_;
  std::uint64_t tick_ = 0;  // the wheel's time: no timer in a slot is earlier
  std::uint64_t numbers_ = 0;
  std::size_t count_ = 0;
  std::vector<Entry> entries_;
  std::uint32_t free_ = kNone;
  std::vector<Due> due_;  // has room for all entries
};

}  // namespace pollux
