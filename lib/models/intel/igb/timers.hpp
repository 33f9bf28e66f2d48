// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

#include "pollux/base/clock.hpp"

namespace pollux::models::igb {

/// The card's timers. The current time is the last value passed to `advance`.
class Timers {
 public:
  using Id = std::size_t;

  [[nodiscard]] Id add(std::function<void()> action) {
    entries_.push_back({kNever, std::move(action)});
    return entries_.size() - 1;
  }
  /// Starts a one-shot timer. A running one gets the new due time.
  void start(Id id, Duration delay) {
    entries_[id].due = now_ + delay;
    if (entries_[id].due < next_) next_ = entries_[id].due;
  }
  void cancel(Id id) { entries_[id].due = kNever; }
  [[nodiscard]] bool running(Id id) const { return entries_[id].due != kNever; }
  [[nodiscard]] Duration now() const { return now_; }
  /// A time before which no timer is due; Duration::max() if no timer runs.
  [[nodiscard]] Duration next() const { return next_; }

  /// Runs all timers that are due at `now`, in order of due time, each at its own time. Time never decreases.
  void advance(Duration now) {
    while (next_ <= now) {
      const auto earliest = std::ranges::min_element(entries_, {}, &Entry::due);
      next_ = earliest == entries_.end() ? kNever : earliest->due;
      if (next_ > now || next_ == kNever) break;
      now_ = std::max(now_, earliest->due);
      earliest->due = kNever;
      earliest->action();
    }
    now_ = std::max(now_, now);
  }

 private:
  static constexpr Duration kNever = Duration::max();
  struct Entry {
    Duration due;
    std::function<void()> action;
  };

  std::vector<Entry> entries_;
  Duration now_{0};
  Duration next_ = kNever;  // no timer is due before this
};

}  // namespace pollux::models::igb
