// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/clock.hpp"

namespace pollux {

/// An eventfd that becomes readable when a ManualClock reaches a moment.
class ManualAlarm {
 public:
  explicit ManualAlarm(FileDescriptor event) noexcept : event_(std::move(event)) {}

  [[nodiscard]] int descriptor() const noexcept { return event_.get(); }
  /// Not readable any more, until `due`.
  void set(Time now, Time due) noexcept;
  void check(Time now) noexcept;

 private:
  FileDescriptor event_;
  std::atomic<Time::rep> due_{Time::max().count()};
};

/// One descriptor for all that a Control waits for: a moment on its clock, and the events of devices.
/// Thread rule: one thread at a time; the descriptor may be waited for on any.
class ControlEvents {
 public:
  using TaskId = std::uint64_t;

  /// nullopt where the process has no descriptor left.
  [[nodiscard]] static std::optional<ControlEvents> create(Clock& clock);

  [[nodiscard]] int descriptor() const noexcept { return epoll_.get(); }
  /// Readable from `due` on, and not before but for a device's event. Time::max(): never.
  void set_due(Time now, Time due) noexcept;
  /// An event that `task` wants to be run for. One that cannot be watched is not: the task still runs in its time.
  void watch(int event, TaskId task) noexcept;
  void forget(int event) noexcept;
  /// The tasks whose events were raised since the last call.
  [[nodiscard]] std::vector<TaskId> collect();

 private:
  ControlEvents() = default;
  [[nodiscard]] bool add(int descriptor, std::uint32_t events, std::uint64_t key) noexcept;

  FileDescriptor epoll_;
  FileDescriptor timer_;                // where the clock is the machine's
  std::shared_ptr<ManualAlarm> alarm_;  // where it is a ManualClock
  Time due_ = Time::max();
};

}  // namespace pollux
