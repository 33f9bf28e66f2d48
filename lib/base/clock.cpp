// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/base/clock.hpp"

#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <thread>
#include <utility>

#include "base/file_descriptor.hpp"

namespace pollux {
namespace {

tl::unexpected<Error> no_descriptor() {
  return fail_errno(ErrorCode::io_error, "there is no descriptor for an alarm", errno);
}

}  // namespace

/// A timerfd that runs for the time left, since the clock may be the caller's own.
class TimerAlarm final : public Alarm {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Alarm>> create(const Clock& clock) {
    FileDescriptor timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!timer) return no_descriptor();
    return std::unique_ptr<Alarm>(new TimerAlarm(clock, std::move(timer)));
  }

  [[nodiscard]] int event_fd() const noexcept override { return timer_.get(); }
  void set(Time due) noexcept override {
    itimerspec timer{};
    if (due != Time::max()) {
      const Time now = clock_.now();
      // Zero would disarm the timer, so a time that has already passed becomes one nanosecond.
      const Duration left = due <= now ? Duration(1) : due - now;
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
      timer.it_value.tv_sec = seconds.count();
      timer.it_value.tv_nsec = (left - seconds).count();
    }
    static_cast<void>(::timerfd_settime(timer_.get(), 0, &timer, nullptr));
  }

 private:
  TimerAlarm(const Clock& clock, FileDescriptor timer) noexcept : clock_(clock), timer_(std::move(timer)) {}

  const Clock& clock_;
  FileDescriptor timer_;
};

class ManualAlarm;

/// All existing alarms of a ManualClock. Thread rule: any thread.
class ManualAlarms {
 public:
  /// Called when the clock has reached `now`.
  void raise_due(Time now) noexcept;
  /// The earliest moment that an alarm is set to; Time::max() if none is set.
  [[nodiscard]] Time next_due() noexcept;

 private:
  friend class ManualAlarm;

  std::mutex lock_;
  std::vector<ManualAlarm*> alarms_;
};

/// An eventfd that is written when the clock reaches the moment.
class ManualAlarm final : public Alarm {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Alarm>> create(const ManualClock& clock,
                                                             std::shared_ptr<ManualAlarms> alarms) {
    FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event) return no_descriptor();
    std::unique_ptr<ManualAlarm> alarm(new ManualAlarm(clock, std::move(alarms), std::move(event)));
    {
      const std::lock_guard guard(alarm->alarms_->lock_);
      alarm->alarms_->alarms_.push_back(alarm.get());
    }
    return alarm;
  }
  ~ManualAlarm() override {
    const std::lock_guard guard(alarms_->lock_);
    std::erase(alarms_->alarms_, this);
  }

  [[nodiscard]] int event_fd() const noexcept override { return event_.get(); }
  void set(Time due) noexcept override {
    const std::lock_guard guard(alarms_->lock_);
    eventfd_t raised = 0;
    static_cast<void>(::eventfd_read(event_.get(), &raised));
    due_ = due;
    raise_if_due(clock_.now());
  }

 private:
  friend class ManualAlarms;

  ManualAlarm(const ManualClock& clock, std::shared_ptr<ManualAlarms> alarms, FileDescriptor event) noexcept
      : clock_(clock), alarms_(std::move(alarms)), event_(std::move(event)) {}
  /// Called with the lock held.
  void raise_if_due(Time now) noexcept {
    if (due_ == Time::max() || now < due_) return;
    due_ = Time::max();
    static_cast<void>(::eventfd_write(event_.get(), 1));
  }

  const ManualClock& clock_;
  std::shared_ptr<ManualAlarms> alarms_;  // may outlive the clock
  FileDescriptor event_;
  Time due_ = Time::max();  // guarded by the lock
};

void ManualAlarms::raise_due(Time now) noexcept {
  const std::lock_guard guard(lock_);
  for (ManualAlarm* const alarm : alarms_) alarm->raise_if_due(now);
}

Time ManualAlarms::next_due() noexcept {
  const std::lock_guard guard(lock_);
  Time next = Time::max();
  for (const ManualAlarm* const alarm : alarms_) next = std::min(next, alarm->due_);
  return next;
}

namespace {

Result<unsigned> refuse_closed(int descriptor) {
  return fail(ErrorCode::invalid_argument, "wait: descriptor " + std::to_string(descriptor) + " is not open",
              "leave out the queues of ports that were closed");
}

/// Polls the descriptors. Sleeps for at most `limit` if none is ready.
Result<unsigned> poll_for(std::span<pollfd> descriptors, Duration limit) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit);
  const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (limit - seconds).count()};
  const int ready = ::ppoll(descriptors.data(), descriptors.size(), &timeout, nullptr);
  if (ready < 0 && errno == EINTR) {
    // poll(2) does not define `revents` after an error.
    for (pollfd& descriptor : descriptors) descriptor.revents = 0;
    return 0U;
  }
  if (ready < 0) {
    return fail_errno(ErrorCode::io_error, "cannot wait for " + std::to_string(descriptors.size()) + " descriptors",
                      errno, "wait for fewer");
  }
  if (ready == 0) return 0U;
  const auto closed =
      std::find_if(descriptors.begin(), descriptors.end(), [](const pollfd& d) { return (d.revents & POLLNVAL) != 0; });
  if (closed != descriptors.end()) return refuse_closed(closed->fd);
  return static_cast<unsigned>(ready);
}

}  // namespace

Result<unsigned> Clock::wait(std::span<pollfd> descriptors, Time until) {
  const Time start = now();
  const Time end = until <= start || until - start < kMaxWait ? until : start + kMaxWait;
  for (;;) {
    auto ready = poll_for(descriptors, Duration::zero());
    const Time time = now();
    if (!ready || *ready != 0 || time >= end) return ready;
    sleep_for(std::min(kWaitStep, end - time));
  }
}

Result<std::unique_ptr<Alarm>> Clock::make_alarm() { return TimerAlarm::create(*this); }

Duration SteadyClock::now() const { return std::chrono::steady_clock::now().time_since_epoch(); }

void SteadyClock::sleep_for(Duration span) {
  if (span > Duration::zero()) std::this_thread::sleep_for(span);
}

Result<unsigned> SteadyClock::wait(std::span<pollfd> descriptors, Time until) {
  const Time start = now();
  return poll_for(descriptors, until <= start ? Duration::zero() : std::min(until - start, kMaxWait));
}

ManualClock::ManualClock() : alarms_(std::make_shared<ManualAlarms>()) {}

Result<std::unique_ptr<Alarm>> ManualClock::make_alarm() { return ManualAlarm::create(*this, alarms_); }

void ManualClock::follow(Follower follower, NextWork next, std::optional<std::weak_ptr<const void>> owner) {
  Entry entry{std::move(follower), std::move(next), std::move(owner)};
  const std::lock_guard lock(mutex_);
  for (Entry& old : followers_) {
    if (!old.owner || !old.owner->expired()) continue;
    old = std::move(entry);
    return;
  }
  followers_.push_back(std::move(entry));
}

void ManualClock::advance(Duration span) {
  while (span > Duration::zero()) {
    const std::lock_guard lock(mutex_);
    const Duration step = next_step(span);
    const Duration then = now() + step;
    now_.store(then.count(), std::memory_order_release);
    span -= step;
    for (std::size_t i = 0, count = followers_.size(); i < count; ++i) followers_[i].follower(then);
    alarms_->raise_due(then);
  }
}

// At most `limit`, otherwise a multiple of kStep, so that events happen at the same times as with steps of kStep each.
Duration ManualClock::next_step(Duration limit) const {
  const Time current = now();
  Time due = alarms_->next_due();
  for (const Entry& entry : followers_) due = std::min(due, entry.next ? entry.next() : current);
  if (due <= current + kStep) return std::min(limit, kStep);
  const Duration wait = due - current;
  if (wait >= limit) return limit;
  return std::min(limit, (wait + kStep - Duration(1)) / kStep * kStep);
}

Result<void> timed_out(std::string_view what, Duration limit) {
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(limit).count();
  const bool whole = microseconds % 1000 == 0;
  std::string text(what);
  text += " did not happen within ";
  text += std::to_string(whole ? microseconds / 1000 : microseconds);
  text += whole ? " ms" : " us";
  return fail(ErrorCode::timeout, std::move(text));
}

}  // namespace pollux
