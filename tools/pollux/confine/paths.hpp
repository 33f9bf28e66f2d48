// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "confine/confinement.hpp"
#include "pollux/base/error.hpp"
#include "pollux/base/log.hpp"

namespace pollux::tool {

/// Restricts this thread to some files, by Landlock: it reads what `needed` names and what the C library does, removes
/// files where `needed` says so, and makes, writes and runs none. It also cannot look into processes outside of this
/// restriction, not even by /proc/PID/mem (landlock(7), ptrace restrictions). Error: io_error.
[[nodiscard]] Result<void> restrict_paths(const Confinement& needed, const LogCallback& log);

}  // namespace pollux::tool
