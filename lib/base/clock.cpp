// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/base/clock.hpp"

#include <algorithm>
#include <cerrno>
#include <string>
#include <thread>
#include <utility>

#include "base/alarm.hpp"

namespace pollux {
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
                      errno, "wait for fewer, or raise ulimit -n");
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

void ManualClock::advance(Duration span) {
  while (span > Duration::zero()) {
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
