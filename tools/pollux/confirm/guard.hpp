// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>

#include "confirm/pending.hpp"
#include "confirm/rollback.hpp"

namespace pollux::tool {

/// The outcome of a binding that waited for its confirmation.
enum class GuardOutcome { confirmed, rolled_back, failed };

/// Waits on the environment's clock until `deadline`, until the binding is confirmed, or until `now` is readable, and
/// rolls back unless it is confirmed. Without a deadline it waits as long as the other end of `now` is open. -1 for
/// `now`: nothing but time ends the wait. While another process changes bindings, the roll-back is tried again. Errors
/// are logged.
[[nodiscard]] GuardOutcome guard_binding(const Environment& environment, const PendingBinding& pending,
                                         const Rollback& rollback, std::optional<Time> deadline, int now);

/// The other end of a guard in a process of its own. It belongs to no session and no terminal, and ignores their
/// signals.
class GuardProcess {
 public:
  /// Without a deadline, it also rolls back when this process ends. Error: `io_error`.
  [[nodiscard]] static Result<GuardProcess> start(const Environment& environment, const PendingBinding& pending,
                                                  const Rollback& rollback, std::optional<Time> deadline);

  /// Readable when the guard has ended.
  [[nodiscard]] int event_fd() const { return outcome_.get(); }
  /// Waits for the guard's end.
  [[nodiscard]] GuardOutcome wait();
  /// Rolls back at once, and waits for that.
  [[nodiscard]] GuardOutcome roll_back();

 private:
  FileDescriptor now_;
  FileDescriptor outcome_;
};

}  // namespace pollux::tool
