// SPDX-License-Identifier: BSD-3-Clause
#include "base/alarm.hpp"

#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

namespace pollux {
namespace {

tl::unexpected<Error> no_descriptor() {
  return fail_errno(ErrorCode::io_error, "there is no descriptor for an alarm", errno, "raise ulimit -n");
}

}  // namespace

Result<std::unique_ptr<Alarm>> TimerAlarm::create(const Clock& clock) {
  FileDescriptor timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer) return no_descriptor();
  return std::unique_ptr<Alarm>(new TimerAlarm(clock, std::move(timer)));
}

void TimerAlarm::set(Time due) noexcept {
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

Result<std::unique_ptr<Alarm>> ManualAlarm::create(const ManualClock& clock, std::shared_ptr<ManualAlarms> alarms) {
  FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return no_descriptor();
  std::unique_ptr<ManualAlarm> alarm(new ManualAlarm(clock, std::move(alarms), std::move(event)));
  {
    const std::lock_guard guard(alarm->alarms_->lock_);
    alarm->alarms_->alarms_.push_back(alarm.get());
  }
  return alarm;
}

ManualAlarm::~ManualAlarm() {
  const std::lock_guard guard(alarms_->lock_);
  std::erase(alarms_->alarms_, this);
}

void ManualAlarm::set(Time due) noexcept {
  const std::lock_guard guard(alarms_->lock_);
  eventfd_t raised = 0;
  static_cast<void>(::eventfd_read(event_.get(), &raised));
  due_ = due;
  raise_if_due(clock_.now());
}

void ManualAlarm::raise_if_due(Time now) noexcept {
  if (due_ == Time::max() || now < due_) return;
  due_ = Time::max();
  static_cast<void>(::eventfd_write(event_.get(), 1));
}

}  // namespace pollux
