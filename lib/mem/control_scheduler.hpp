// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "mem/control_events.hpp"
#include "mem/control_task.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// The tasks of a Control, and when each is due. A task runs without the scheduler's lock, so it may add, reschedule
/// and remove tasks, including itself.
/// Thread rule: every member may be called from any thread.
class ControlScheduler {
 public:
  using TaskId = ControlEvents::TaskId;

  // Not noexcept: a container may allocate when it is made.
  explicit ControlScheduler(Clock& clock) : clock_(clock) {}

  /// Runs `task` at `due` and whenever one of `events` (eventfds; -1 for none) is raised. The caller keeps `events`
  /// open until the task is removed.
  [[nodiscard]] TaskId add(std::weak_ptr<ControlTask> task, Time due, std::vector<int> events);
  /// Removes a task, without waiting if it is just running. Does nothing if it was removed before.
  void remove(TaskId id);
  void reschedule(TaskId id, Time due);
  /// Replaces the task's events. The caller keeps the old ones open until this returns. Does nothing if the task was
  /// removed.
  void set_events(TaskId id, std::vector<int> events);

  [[nodiscard]] int event_fd();
  /// Whether `event_fd` was called: tasks then run as soon as one of their events is raised.
  [[nodiscard]] bool has_event_fd();
  /// See Control::run_due.
  [[nodiscard]] Result<Time> run_due();
  /// Like run_due, without returning stored failures.
  [[nodiscard]] Result<Time> run_tasks();
  /// Stores a failure that the program has not seen; the next run_due returns it.
  void store_failure(Error failure);

 private:
  struct Entry {
    std::weak_ptr<ControlTask> task;
    Time due;
    std::vector<int> events;
    bool running = false;
  };
  [[nodiscard]] std::shared_ptr<ControlTask> take_due(Time now, TaskId& id);
  void finish(TaskId id, Time due);
  [[nodiscard]] Time next_due() const;
  void set_alarm();
  void drop(std::map<TaskId, Entry>::iterator entry);

  Clock& clock_;
  std::mutex mutex_;
  std::map<TaskId, Entry> entries_;
  TaskId last_id_ = 0;
  std::optional<ControlEvents> events_;  // created by event_fd
  std::deque<Error> failures_;
};

}  // namespace pollux
