// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

namespace pollux::tool {

/// A program and its arguments, which no shell reads. "pollux" is this program, wherever it is installed.
struct Invocation {
  std::vector<std::string> words;
  std::string input = {};  ///< what the program reads from standard input; empty: that of this process
};

/// The command as a user types it into a shell, without its input.
[[nodiscard]] std::string shell_text(const Invocation& command);

/// Runs a command and waits for its end. What it prints goes to stderr, so that it does not mix with JSON. Returns its
/// exit status, as a shell has it: 127 if it was not started, 128 and the signal's number if one ended it.
[[nodiscard]] int run_command(const Invocation& command);

}  // namespace pollux::tool
