// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <unistd.h>

namespace pollux {

/// A member by which an object knows whether it is in the process that made it. Its copy in a forked child must not
/// touch what belongs to the parent, nor wait for a lock or a thread that only the parent has.
class OwnProcess {
 public:
  [[nodiscard]] bool is_here() const noexcept { return ::getpid() == process_; }

 private:
  pid_t process_ = ::getpid();
};

}  // namespace pollux
