// SPDX-License-Identifier: BSD-3-Clause
#include "mem/control_scheduler.hpp"

#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "pollux/mem/context.hpp"

namespace pollux {
namespace {

/// The epoll key of the alarm; task ids start at 1.
constexpr std::uint64_t kAlarmKey = 0;

/// Whether one of the descriptors (-1: none) is readable.
bool is_raised(const std::vector<int>& events) {
  return std::any_of(events.begin(), events.end(), [](int event) {
    pollfd look{.fd = event, .events = POLLIN, .revents = 0};
    return ::poll(&look, 1, 0) == 1;
  });
}

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

int Control::event_fd() { return scheduler_->event_fd(); }

Result<Time> Control::run_due() { return scheduler_->run_due(); }

ControlScheduler::TaskId ControlScheduler::add(std::weak_ptr<ControlTask> task, Time due, std::vector<int> events) {
  const std::lock_guard lock(mutex_);
  const TaskId id = ++last_id_;
  if (events_) {
    for (const int event : events) events_->watch(event, id);
  }
  entries_.emplace(id, Entry{std::move(task), due, std::move(events)});
  set_alarm();
  return id;
}

void ControlScheduler::drop(std::map<TaskId, Entry>::iterator entry) {
  if (events_) {
    for (const int event : entry->second.events) events_->forget(event);
  }
  entries_.erase(entry);
  set_alarm();
}

void ControlScheduler::remove(TaskId id) {
  const std::lock_guard lock(mutex_);
  if (const auto found = entries_.find(id); found != entries_.end()) drop(found);
}

void ControlScheduler::reschedule(TaskId id, Time due) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  found->second.due = due;
  set_alarm();
}

void ControlScheduler::set_events(TaskId id, std::vector<int> events) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  if (events_) {
    for (const int event : found->second.events) events_->forget(event);
    for (const int event : events) events_->watch(event, id);
  }
  found->second.events = std::move(events);
}

int ControlScheduler::event_fd() {
  const std::lock_guard lock(mutex_);
  if (!events_) {
    events_ = ControlEvents::create(clock_);
    if (!events_) return -1;
    for (const auto& [id, entry] : entries_) {
      for (const int event : entry.events) events_->watch(event, id);
    }
    set_alarm();
  }
  return events_->descriptor();
}

bool ControlScheduler::has_event_fd() {
  const std::lock_guard lock(mutex_);
  return events_.has_value();
}

Time ControlScheduler::next_due() const {
  Time due = Time::max();
  for (const auto& [id, entry] : entries_) {
    if (!entry.running) due = std::min(due, entry.due);
  }
  return due;
}

void ControlScheduler::set_alarm() {
  if (events_) events_->set_due(clock_.now(), next_due());
}

void ControlScheduler::note_events(Time now) {
  if (!events_) return;
  for (const TaskId raised : events_->collect()) {
    if (const auto found = entries_.find(raised); found != entries_.end()) found->second.due = now;
  }
}

std::shared_ptr<ControlTask> ControlScheduler::take_due(Time now, TaskId& id) {
  note_events(now);
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto here = entry++;
    if (here->second.running || here->second.due > now) continue;
    auto task = here->second.task.lock();
    if (task == nullptr) {
      drop(here);
      continue;
    }
    id = here->first;
    here->second.running = true;
    // While it runs, reschedule() or an event may set an earlier time; finish() keeps the earliest.
    here->second.due = Time::max();
    return task;
  }
  return nullptr;
}

void ControlScheduler::finish(TaskId id, Time due) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  found->second.running = false;
  found->second.due = std::min(found->second.due, due);
}

Result<Time> ControlScheduler::run_tasks() {
  const Time now = clock_.now();
  std::unique_lock lock(mutex_);
  TaskId id = 0;
  while (auto task = take_due(now, id)) {
    lock.unlock();
    Result<Time> next;
    try {
      next = task->run();
    } catch (...) {
      // A handler of the program has thrown. The task goes on with the next call.
      task.reset();
      lock.lock();
      finish(id, now);
      set_alarm();
      throw;
    }
    task.reset();  // may destroy the task, so outside the lock
    lock.lock();
    if (next) {
      // Later than now, even if the task asks for less: each task runs at most once in a call.
      finish(id, std::max(*next, now + Duration(1)));
      continue;
    }
    if (const auto found = entries_.find(id); found != entries_.end()) drop(found);
    return next;
  }
  set_alarm();
  return next_due();
}

void ControlScheduler::assist() {
  const Time now = clock_.now();
  std::unique_lock lock(mutex_);
  note_events(now);
  std::vector<TaskId> due;
  for (const auto& [id, entry] : entries_) {
    // A program that never asked for event_fd would leave events until their task is due.
    if (!entry.running && (entry.due <= now || (!events_ && is_raised(entry.events)))) due.push_back(id);
  }
  for (const TaskId id : due) {
    const auto found = entries_.find(id);
    if (found == entries_.end() || found->second.running) continue;
    auto task = found->second.task.lock();
    if (task == nullptr) continue;
    found->second.running = true;
    const Time since = std::exchange(found->second.due, Time::max());
    lock.unlock();
    std::optional<Time> next;
    try {
      next = task->assist();
    } catch (...) {  // std::bad_alloc
      lock.lock();
      finish(id, since);
      throw;
    }
    task.reset();
    lock.lock();
    finish(id, next.value_or(since));
  }
  set_alarm();
}

Result<Time> ControlScheduler::run_due() {
  {
    const std::lock_guard lock(mutex_);
    if (!failures_.empty()) {
      const Error failure = std::move(failures_.front());
      failures_.pop_front();
      return tl::unexpected<Error>(failure);
    }
  }
  return run_tasks();
}

void ControlScheduler::store_failure(Error failure) {
  const std::lock_guard lock(mutex_);
  failures_.push_back(std::move(failure));
}

}  // namespace pollux
