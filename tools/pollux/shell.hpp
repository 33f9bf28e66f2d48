// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace pollux::tool {

/// Runs a command by /bin/sh and waits for its end. A "pollux" in it is this program, wherever it is installed. What
/// the command prints goes to stderr, so that it does not mix with JSON. Returns its exit status, as a shell has it.
[[nodiscard]] int run_shell(const std::string& command);

}  // namespace pollux::tool
