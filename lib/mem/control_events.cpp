// SPDX-License-Identifier: BSD-3-Clause
#include "mem/control_events.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace pollux {
namespace {

/// The epoll key of the timer or alarm; task ids start at 1.
constexpr std::uint64_t kTimerKey = 0;

itimerspec timer_after(Duration span) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(span);
  itimerspec timer{};
  timer.it_value.tv_sec = seconds.count();
  timer.it_value.tv_nsec = (span - seconds).count();
  return timer;
}

}  // namespace

void ManualAlarm::set(Time now, Time due) noexcept {
  eventfd_t raised = 0;
  static_cast<void>(::eventfd_read(event_.get(), &raised));
  due_.store(due.count(), std::memory_order_release);
  check(now);
}

void ManualAlarm::check(Time now) noexcept {
  Time::rep due = due_.load(std::memory_order_acquire);
  if (now.count() < due) return;
  // Exactly one thread raises the event: the one whose exchange succeeds.
  if (due_.compare_exchange_strong(due, Time::max().count())) static_cast<void>(::eventfd_write(event_.get(), 1));
}

std::optional<ControlEvents> ControlEvents::create(Clock& clock) {
  ControlEvents events;
  events.epoll_ = FileDescriptor(::epoll_create1(EPOLL_CLOEXEC));
  if (!events.epoll_) return std::nullopt;
  int timer = -1;
  if (auto* const manual = dynamic_cast<ManualClock*>(&clock)) {
    FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event) return std::nullopt;
    timer = event.get();
    events.alarm_ = std::make_shared<ManualAlarm>(std::move(event));
    manual->follow([weak = std::weak_ptr(events.alarm_)](Time now) {
      if (const auto alarm = weak.lock()) alarm->check(now);
    });
  } else {
    events.timer_ = FileDescriptor(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    timer = events.timer_.get();
  }
  if (timer < 0 || !events.add(timer, EPOLLIN, kTimerKey)) return std::nullopt;
  return events;
}

bool ControlEvents::add(int descriptor, std::uint32_t events, std::uint64_t key) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.u64 = key;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) == 0;
}

// Arms the timer with the remaining time, not with a point in time, since the Clock may have another origin than the
// timer.
void ControlEvents::set_due(Time now, Time due) noexcept {
  if (due == due_ && due > now) return;
  due_ = due;
  if (alarm_ != nullptr) return alarm_->set(now, due);
  // A value of zero would disarm the timer, so use at least one nanosecond.
  const itimerspec timer = due == Time::max() ? itimerspec{} : timer_after(std::max(due - now, Duration(1)));
  static_cast<void>(::timerfd_settime(timer_.get(), 0, &timer, nullptr));
}

// Edge-triggered, since only the device's driver reads the event: epoll reports it once each time it is raised.
void ControlEvents::watch(int event, TaskId task) noexcept {
  if (event >= 0) static_cast<void>(add(event, EPOLLIN | EPOLLET, task));
}

void ControlEvents::forget(int event) noexcept {
  if (event >= 0) static_cast<void>(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, event, nullptr));
}

std::vector<ControlEvents::TaskId> ControlEvents::collect() {
  std::vector<TaskId> raised;
  std::array<epoll_event, 16> found{};
  int count = 0;
  do {
    count = ::epoll_wait(epoll_.get(), found.data(), static_cast<int>(found.size()), 0);
    for (int i = 0; i < count; ++i) {
      const std::uint64_t key = found[static_cast<std::size_t>(i)].data.u64;
      if (key != kTimerKey) {
        raised.push_back(key);
      } else {
        due_ = Time::min();  // the timer stays readable until set_due arms it again
      }
    }
  } while (count == static_cast<int>(found.size()));
  return raised;
}

}  // namespace pollux
