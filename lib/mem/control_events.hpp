// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/clock.hpp"

namespace pollux {

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

}  // namespace pollux
