// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/clock.hpp"

namespace pollux {

/// A timerfd that runs for the time left, since the clock may be the caller's own.
class TimerAlarm final : public Alarm {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Alarm>> create(const Clock& clock);

  [[nodiscard]] int event_fd() const noexcept override { return timer_.get(); }
  void set(Time due) noexcept override;

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
                                                             std::shared_ptr<ManualAlarms> alarms);
  ~ManualAlarm() override;

  [[nodiscard]] int event_fd() const noexcept override { return event_.get(); }
  void set(Time due) noexcept override;

 private:
  friend class ManualAlarms;

  ManualAlarm(const ManualClock& clock, std::shared_ptr<ManualAlarms> alarms, FileDescriptor event) noexcept
      : clock_(clock), alarms_(std::move(alarms)), event_(std::move(event)) {}
  /// Called with the lock held.
  void raise_if_due(Time now) noexcept;

  const ManualClock& clock_;
  std::shared_ptr<ManualAlarms> alarms_;  // may outlive the clock
  FileDescriptor event_;
  Time due_ = Time::max();  // guarded by the lock
};

}  // namespace pollux
