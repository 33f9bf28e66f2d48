// SPDX-License-Identifier: BSD-3-Clause
#include "mem/control_events.hpp"

#include <sys/epoll.h>

#include <array>
#include <utility>

namespace pollux {
namespace {

/// The epoll key of the alarm; task ids start at 1.
constexpr std::uint64_t kAlarmKey = 0;

}  // namespace

std::optional<ControlEvents> ControlEvents::create(Clock& clock) {
  ControlEvents events;
  events.epoll_ = FileDescriptor(::epoll_create1(EPOLL_CLOEXEC));
  if (!events.epoll_) return std::nullopt;
  auto alarm = clock.make_alarm();
  if (!alarm || !events.add((*alarm)->event_fd(), EPOLLIN, kAlarmKey)) return std::nullopt;
  events.alarm_ = *std::move(alarm);
  return events;
}

bool ControlEvents::add(int descriptor, std::uint32_t events, std::uint64_t key) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.u64 = key;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) == 0;
}

void ControlEvents::set_due(Time now, Time due) noexcept {
  if (due == due_ && due > now) return;
  due_ = due;
  alarm_->set(due);
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
      if (key != kAlarmKey) {
        raised.push_back(key);
      } else {
        due_ = Time::min();  // the timer stays readable until set_due arms it again
      }
    }
  } while (count == static_cast<int>(found.size()));
  return raised;
}

}  // namespace pollux
