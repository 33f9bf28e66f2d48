// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// Time since an arbitrary start, in nanoseconds.
using Duration = std::chrono::nanoseconds;
/// A moment on a Clock: what its `now()` says then.
using Time = Duration;

/// Where the library takes time from, so that waits can be tested in virtual time.
/// Thread rule: the implementations here may be called from any thread unless they say otherwise.
class POLLUX_API Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;

  /// Monotonic; never goes back.
  [[nodiscard]] virtual Duration now() const = 0;
  /// Returns no earlier than `span` from now. Zero and less return at once.
  virtual void sleep_for(Duration span) = 0;
};

/// The machine's monotonic clock.
class POLLUX_API SteadyClock final : public Clock {
 public:
  [[nodiscard]] Duration now() const override;
  void sleep_for(Duration span) override;
};

/// Virtual time: moves only when somebody sleeps or advances it, and steps its followers as it goes.
/// An in-process card follows the clock, so that a driver's bounded wait lets the card work.
/// Thread rule: one thread at a time moves it; `now` may be called from any.
class POLLUX_API ManualClock final : public Clock {
 public:
  /// Called with the new time after each step of at most `kStep`.
  using Follower = std::function<void(Duration now)>;
  static constexpr Duration kStep = std::chrono::microseconds(10);

  [[nodiscard]] Duration now() const override { return Duration(now_.load(std::memory_order_acquire)); }
  void sleep_for(Duration span) override { advance(span); }
  /// Moves time on in steps of at most `kStep`, telling every follower after each.
  void advance(Duration span);
  void follow(Follower follower) { followers_.push_back(std::move(follower)); }

 private:
  std::atomic<Duration::rep> now_{0};
  std::vector<Follower> followers_;
};

/// Error `timeout`: "`what` did not happen within `limit`".
[[nodiscard]] POLLUX_API Result<void> timed_out(std::string_view what, Duration limit);

/// Polls `condition` until it holds or `limit` has passed, sleeping `interval` between looks. The condition is looked
/// at once more after the limit, so a thread that was not scheduled in time does not fail for it. Error as
/// `timed_out`, so name the register bit or event in `what`.
template <std::predicate Condition>
[[nodiscard]] Result<void> wait_until(Clock& clock, std::string_view what, Duration limit, Condition condition,
                                      Duration interval = std::chrono::microseconds(50)) {
  const Duration deadline = clock.now() + limit;
  while (!condition()) {
    if (clock.now() >= deadline) {
      if (condition()) return {};
      return timed_out(what, limit);
    }
    clock.sleep_for(interval);
  }
  return {};
}

}  // namespace pollux
