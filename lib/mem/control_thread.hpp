// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <thread>

#include "base/file_descriptor.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

class ControlScheduler;

/// Runs the tasks of a Control on a thread of its own, for programs that ask for one. The thread blocks all signals.
/// The destructor stops it.
class ControlThread {
 public:
  /// Called on the thread for each failure.
  using OnFailure = std::function<void(const Error&)>;

  /// `scheduler` outlives the result. Error io_error: the process has no descriptor or no thread left.
  [[nodiscard]] static Result<std::unique_ptr<ControlThread>> start(ControlScheduler& scheduler, OnFailure on_failure);
  ControlThread(const ControlThread&) = delete;
  ControlThread& operator=(const ControlThread&) = delete;
  ~ControlThread();

 private:
  ControlThread(ControlScheduler& scheduler, FileDescriptor stop, OnFailure on_failure);
  void work(int event);
  /// An exception of a handler is a failure, too.
  [[nodiscard]] Result<Time> run_tasks();

  ControlScheduler& scheduler_;
  FileDescriptor stop_;
  OnFailure on_failure_;
  pid_t owner_;
  std::thread thread_;
};

}  // namespace pollux
