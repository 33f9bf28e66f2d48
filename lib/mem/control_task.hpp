// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// Periodic work that a Context's Control runs, such as a port's service.
/// Thread rule: `run` is called on the thread that runs the Control, never on two threads at once.
class ControlTask {
 public:
  ControlTask() = default;
  ControlTask(const ControlTask&) = delete;
  ControlTask& operator=(const ControlTask&) = delete;
  virtual ~ControlTask() = default;

  /// Does the work that is due and returns the time of the next call. After an error the task is removed.
  [[nodiscard]] virtual Result<Time> run() = 0;
};

}  // namespace pollux
