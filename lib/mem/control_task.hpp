// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// What hangs on a Context's Control: a port's service, later whatever else has to be done now and then.
/// Thread rule: `run` is called on whichever thread runs the Control, never on two at once.
class ControlTask {
 public:
  ControlTask() = default;
  ControlTask(const ControlTask&) = delete;
  ControlTask& operator=(const ControlTask&) = delete;
  virtual ~ControlTask() = default;

  /// Does what is due and returns when it wants to be called next. After an error it is not called any more.
  [[nodiscard]] virtual Result<Time> run() = 0;
};

}  // namespace pollux
