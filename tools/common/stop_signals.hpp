// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <csignal>

#include "pollux/pollux.hpp"

namespace pollux::tools {

/// How long a sleep may delay the end of the program after Ctrl-C.
constexpr Duration kLongestSleep = std::chrono::milliseconds(100);

/// While an object exists, the first SIGINT (Ctrl-C) and the first SIGTERM only set a flag, so that the program can end
/// cleanly. The second of the same kind kills the program. Make it when the ports are open: until then a signal ends
/// the program at once, also while it allocates much memory. At most one object per process.
class StopSignals {
 public:
  StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  ~StopSignals();

  [[nodiscard]] bool raised() const noexcept;

 private:
  struct sigaction interrupt_before_ {};
  struct sigaction terminate_before_ {};
};

/// Whether such a signal has come, also after the object's end.
[[nodiscard]] bool stop_was_raised() noexcept;

}  // namespace pollux::tools
