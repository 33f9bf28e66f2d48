// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

class ControlScheduler;

/// What has to be done now and then for everything that a Context keeps open, in one place: each port's `service` hangs
/// on it from its opening to its closing. It works in the program's own loop,
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
/// in an event loop, which waits for `event_fd`, or on a thread: ContextOptions::control_thread.
/// Thread rule: every member may be called from any thread; what is due runs on the calling one.
class POLLUX_API Control {
 public:
  explicit Control(ControlScheduler& scheduler) noexcept : scheduler_(&scheduler) {}

  /// Readable, as poll(2) and epoll(7) understand it, while something is due or a device has raised its error or
  /// removal event; `run_due` clears it. On a ManualClock it follows virtual time; the first call then comes from the
  /// thread that moves the clock. Made by the first call, close-on-exec, the Context's own: not to be read or closed.
  /// -1 where the process has no descriptor left.
  [[nodiscard]] int event_fd();

  /// Does what is due and returns when it wants to be called next, on the Context's clock: at most a second from now
  /// while a port is open, Time::max() while nothing is. Costs a look at the clock when nothing is due, and once
  /// `event_fd` was called a system call. Calling it more often than it asks for is right, later is not: builds with
  /// POLLUX_CHECKED report an overdue service as a misuse.
  /// Errors: those of Port::service. The port is then in state `failed`, the hint says what mends it, and each failure
  /// is told once: call again at once for the other ports. With a control thread this tells what the thread has found.
  [[nodiscard]] Result<Time> run_due();

 private:
  ControlScheduler* scheduler_;
};

}  // namespace pollux
