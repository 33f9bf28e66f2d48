// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "pollux/base/clock.hpp"

namespace pollux::models::igb {

/// What the card does by itself after a while. Time is whatever `advance` was last told.
class Timers {
 public:
  using Id = std::size_t;

  [[nodiscard]] Id add(std::function<void()> action) {
    entries_.push_back({kNever, std::move(action)});
    return entries_.size() - 1;
  }
  /// One-shot; starting it again moves it.
  void start(Id id, Duration delay) {
    entries_[id].due = now_ + delay;
    if (entries_[id].due < next_) next_ = entries_[id].due;
  }
  void cancel(Id id) { entries_[id].due = kNever; }
  [[nodiscard]] bool running(Id id) const { return entries_[id].due != kNever; }
  [[nodiscard]] Duration now() const { return now_; }
  /// Nothing is due before; Duration::max() if nothing ever is.
  [[nodiscard]] Duration next() const { return next_; }

  /// Does what is due at `now`, in order of due times, each at its own time. Time never goes back.
  void advance(Duration now);

 private:
  static constexpr Duration kNever = Duration::max();
  struct Entry {
    Duration due;
    std::function<void()> action;
  };

  [[nodiscard]] Entry* earliest();

  std::vector<Entry> entries_;
  Duration now_{0};
  Duration next_ = kNever;  // no entry is due before
};

}  // namespace pollux::models::igb
