// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

class ControlScheduler;

/// Runs the periodic work of a Context, such as each open port's `service`. A program calls it in one of three ways. In
/// its own loop:
///
///     Time due{};
///     while (running) {
///       if (context.clock().now() >= due) {
///         auto next = context.control().run_due();
///         if (!next) ...                              // a port failed: the error says which and why
///         due = *next;
///       }
///       ...                                           // receive, send
///     }
///
/// In an event loop, which waits for `event_fd` and then calls `run_due`. Or on a thread of the library:
/// ContextOptions::control_thread.
/// Thread rule: every member may be called from any thread; the calling thread does the work that is due.
class POLLUX_API Control {
 public:
  explicit Control(ControlScheduler& scheduler) noexcept : scheduler_(&scheduler) {}

  /// A file descriptor that is readable (poll(2), epoll(7)) while work is due or a device has signalled an error, its
  /// removal or a change of its link. `run_due` clears it. It is created on the first call, close-on-exec, and owned by
  /// the Context: do not read or close it. It follows the Context's clock, virtual time, too. Returns -1 if the process
  /// has no file descriptor left.
  [[nodiscard]] int event_fd();

  /// Does the work that is due. Returns the time of the next call on the Context's clock: at most a second from now
  /// while a port is open, Time::max() while none is. When nothing is due, a call reads the clock and, once `event_fd`
  /// was called, makes one system call. Calling earlier is fine; builds with POLLUX_CHECKED report a service that runs
  /// too late as a misuse.
  /// Errors: those of Port::service. The port is then in state `failed`, and the hint says how to recover. Each failure
  /// is returned once; call again at once for the other ports. With a control thread, this returns the failures that
  /// the thread found.
  [[nodiscard]] Result<Time> run_due();

 private:
  ControlScheduler* scheduler_;
};

}  // namespace pollux
