// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// Periodic work that a Context's Control runs, such as a port's service.
/// Thread rule: `run` is called on the thread that runs the Control; it and `assist` never run on two threads at once.
class ControlTask {
 public:
  ControlTask() = default;
  ControlTask(const ControlTask&) = delete;
  ControlTask& operator=(const ControlTask&) = delete;
  virtual ~ControlTask() = default;

  /// Does the work that is due and returns the time of the next call. After an error the task is removed.
  [[nodiscard]] virtual Result<Time> run() = 0;
  /// Does what a control call of another port may wait for, on the thread of that call: without waiting for any lock
  /// and without calling the program. Returns the time of the next `run`; nullopt: did nothing.
  [[nodiscard]] virtual std::optional<Time> assist() { return std::nullopt; }
};

/// One descriptor that signals all events a Control waits for: a point in time on its clock, and the events of devices.
/// Thread rule: one thread at a time; any thread may wait for the descriptor.
class ControlEvents {
 public:
  using TaskId = std::uint64_t;

  /// nullopt if the process has no file descriptor left.
  [[nodiscard]] static std::optional<ControlEvents> create(Clock& clock);

  [[nodiscard]] int descriptor() const noexcept { return epoll_.get(); }
  /// Makes the descriptor readable from `due` on; before that only a device's event makes it readable. Time::max():
  /// never.
  void set_due(Time now, Time due) noexcept;
  /// Runs `task` when `event` is raised. If the event cannot be added to the epoll set, the task still runs when it is
  /// due.
  void watch(int event, TaskId task) noexcept;
  void forget(int event) noexcept;
  /// The tasks whose events were raised since the last call.
  [[nodiscard]] std::vector<TaskId> collect();

 private:
  ControlEvents() = default;
  [[nodiscard]] bool add(int descriptor, std::uint32_t events, std::uint64_t key) noexcept;

  FileDescriptor epoll_;
  std::unique_ptr<Alarm> alarm_;
  Time due_ = Time::max();
};

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
  /// For a control call that waits for the service of another port, at each look: lets the tasks that are due assist.
  /// So it does not matter which thread runs the Control, nor what that thread waits for.
  void assist();
  /// Stores a failure that the program has not seen; the next run_due returns it.
  void store_failure(Error failure);

 private:
  struct Entry {
    std::weak_ptr<ControlTask> task;
    Time due;
    std::vector<int> events;
    bool running = false;
  };
  /// Makes tasks due whose events were raised.
  void note_events(Time now);
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
