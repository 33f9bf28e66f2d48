// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "confine/confinement.hpp"
#include "pollux/base/error.hpp"
#include "pollux/base/log.hpp"

namespace pollux::tool {

/// Gives up what a server does not need, for this thread and those that it starts: capabilities; the system calls that
/// are not in its list (system_calls.cpp), which fail with EPERM, and which the kernel's log names; and with Landlock
/// (Linux 5.13) the files that are not named, and the memory of other processes. It cannot be undone. With
/// POLLUX_CONFINEMENT=trap in the environment a call that is not in the list ends the process, which names it.
/// Error: io_error. A kernel without Landlock is logged as debug.
[[nodiscard]] Result<void> confine(const Confinement& needed, const LogCallback& log);

}  // namespace pollux::tool
