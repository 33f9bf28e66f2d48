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
/// A point in time, as returned by Clock::now().
using Time = Duration;

/// The source of time for the library. A test can replace it with virtual time.
/// Thread rule: the implementations here may be called from any thread unless they say otherwise.
class POLLUX_API Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;

  /// The current time. It never decreases.
  [[nodiscard]] virtual Duration now() const = 0;
  /// Returns no earlier than `span` from now; at once if `span` is zero or less.
  virtual void sleep_for(Duration span) = 0;
};

/// The machine's monotonic clock.
class POLLUX_API SteadyClock final : public Clock {
 public:
  [[nodiscard]] Duration now() const override;
  void sleep_for(Duration span) override;
};

/// Virtual time, which advances only when `sleep_for` or `advance` is called, and then runs its followers. An
/// in-process card is a follower, so it works while a driver waits.
/// Thread rule: one thread at a time advances the clock; `now` may be called from any thread.
class POLLUX_API ManualClock final : public Clock {
 public:
  /// Called with the new time after each step. A step is at most `kStep`.
  using Follower = std::function<void(Duration now)>;
  static constexpr Duration kStep = std::chrono::microseconds(10);

  [[nodiscard]] Duration now() const override { return Duration(now_.load(std::memory_order_acquire)); }
  void sleep_for(Duration span) override { advance(span); }
  /// Advances time in steps of at most `kStep` and calls every follower after each step.
  void advance(Duration span);
  void follow(Follower follower) { followers_.push_back(std::move(follower)); }

 private:
  std::atomic<Duration::rep> now_{0};
  std::vector<Follower> followers_;
};

/// Error `timeout`: "`what` did not happen within `limit`".
[[nodiscard]] POLLUX_API Result<void> timed_out(std::string_view what, Duration limit);

/// Polls `condition` until it is true or `limit` has passed, and sleeps `interval` between polls. The condition is
/// checked once more after the limit, so a late wake-up of the thread causes no timeout. Error: that of `timed_out`;
/// `what` names the register bit or event.
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
