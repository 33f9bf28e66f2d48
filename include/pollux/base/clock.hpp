// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <poll.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// Time since an arbitrary start, in nanoseconds.
using Duration = std::chrono::nanoseconds;
/// A point in time, as returned by Clock::now().
using Time = Duration;

/// The time `span` after `now`, which is not negative; Time::max() if there is no such time.
[[nodiscard]] constexpr Time time_after(Time now, Duration span) noexcept {
  return span > Time::max() - now ? Time::max() : now + span;
}

/// A descriptor that becomes readable when its Clock reaches a given time.
/// Ownership: the caller's; the Clock outlives it. Thread rule: any thread; the last `set` counts.
class POLLUX_API Alarm {
 public:
  Alarm() = default;
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;
  virtual ~Alarm() = default;

  /// The descriptor, for poll(2) and epoll(7). The Alarm owns it: do not read or close it. It is close-on-exec.
  [[nodiscard]] virtual int event_fd() const noexcept = 0;
  /// The descriptor becomes readable at `due` and stays readable until the next call. Time::max(): it never does.
  virtual void set(Time due) noexcept = 0;
};

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

  /// The maximum duration of one call of `wait`.
  static constexpr Duration kMaxWait = std::chrono::seconds(1);
  /// Sleeps until a descriptor is ready or the time `until` has come. Returns the number of ready descriptors; their
  /// `revents` say for what they are ready, as with poll(2). A negative `fd` is ignored. If `until` has passed, it only
  /// checks once. Returns 0 if no descriptor is ready. This may happen before `until`: a call takes at most kMaxWait,
  /// and a signal handler that runs ends it, so that the program can react. Errors: invalid_argument (a descriptor is
  /// not open; its `revents` is POLLNVAL), io_error. The default alternates poll(2) and `sleep_for(kWaitStep)`. It
  /// suits clocks of virtual time: in-process cards work while the program sleeps.
  [[nodiscard]] virtual Result<unsigned> wait(std::span<pollfd> descriptors, Time until);
  /// The default `wait` sleeps this long between two polls.
  static constexpr Duration kWaitStep = std::chrono::microseconds(10);

  /// The clock for waits for another thread, which needs processor time: this one, unless its time is virtual.
  [[nodiscard]] virtual Clock& for_threads() noexcept { return *this; }

  /// Makes an alarm on this clock; it is not set yet. The default is a timer of the machine: `set` starts it with the
  /// time that remains on this clock. Error io_error: the process has no descriptor left.
  [[nodiscard]] virtual Result<std::unique_ptr<Alarm>> make_alarm();
};

/// The machine's monotonic clock.
class POLLUX_API SteadyClock final : public Clock {
 public:
  [[nodiscard]] Duration now() const override;
  void sleep_for(Duration span) override;
  /// Uses ppoll(2), so a program that sleeps takes no processor time.
  [[nodiscard]] Result<unsigned> wait(std::span<pollfd> descriptors, Time until) override;
};

class ManualAlarms;

/// Virtual time, which advances only when `sleep_for`, `wait` or `advance` is called, and then runs its followers. An
/// in-process card is a follower, so it works while a driver waits. `wait` never sleeps in real time.
/// Thread rule: any thread. Steps of several threads follow each other, so that time passes by their sum.
class POLLUX_API ManualClock final : public Clock {
 public:
  /// Called with the new time after each step. It may add followers, which are called from the next step on. It must
  /// not throw: also functions that are noexcept advance time, as the closing of a port does, and an exception then
  /// ends the program (std::terminate).
  using Follower = std::function<void(Duration now)>;
  /// Returns when its follower has work next, Time::max() if it has none. A time that has passed means the next step.
  using NextWork = std::function<Time()>;
  static constexpr Duration kStep = std::chrono::microseconds(10);  ///< the length of a step of `advance`

  ManualClock();

  [[nodiscard]] Duration now() const override { return Duration(now_.load(std::memory_order_acquire)); }
  void sleep_for(Duration span) override { advance(span); }
  /// The machine's: virtual time passes at once.
  [[nodiscard]] Clock& for_threads() noexcept override { return machine_; }
  /// Advances time in steps and calls every follower after each step. A step is `kStep`, or several of them if no alarm
  /// is due and no follower has work before its end. The last step may be shorter.
  void advance(Duration span);
  /// Adds a follower that is called at least every `kStep`.
  void follow(Follower follower) { follow(std::move(follower), nullptr); }
  /// Adds a follower that may miss steps at which it has no work. `owner`: when it is gone, the follower does nothing
  /// any more, and the clock may forget it.
  void follow(Follower follower, NextWork next, std::optional<std::weak_ptr<const void>> owner = std::nullopt);
  /// Makes an alarm of virtual time. The thread that advances the clock makes it readable, after it has called the
  /// followers.
  [[nodiscard]] Result<std::unique_ptr<Alarm>> make_alarm() override;

 private:
  struct Entry {
    Follower follower;
    NextWork next;  // empty: has work at every step
    std::optional<std::weak_ptr<const void>> owner;
  };
  [[nodiscard]] Duration next_step(Duration limit) const;

  std::atomic<Duration::rep> now_{0};
  SteadyClock machine_;
  std::recursive_mutex mutex_;   // held for each step, in which followers may add others
  std::deque<Entry> followers_;  // one that adds another is not moved meanwhile
  std::shared_ptr<ManualAlarms> alarms_;
};

/// Error `timeout`: "`what` did not happen within `limit`".
[[nodiscard]] POLLUX_API Result<void> timed_out(std::string_view what, Duration limit);

/// Polls `condition` until it is true or `limit` has passed, and sleeps `interval` between polls. The condition is
/// checked once more after the limit, so a late wake-up of the thread causes no timeout. Error: that of `timed_out`;
/// `what` names the register bit or event.
template <std::predicate Condition>
[[nodiscard]] Result<void> wait_until(Clock& clock, std::string_view what, Duration limit, Condition condition,
                                      Duration interval = std::chrono::microseconds(50)) {
  const Duration deadline = time_after(clock.now(), limit);
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
