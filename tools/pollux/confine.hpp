// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>

#include "pollux/base/error.hpp"

namespace pollux::tool {

/// Gives up what a server does not need, for this thread and those that it starts: all capabilities but those of `kept`
/// (capabilities(7)) that it has, and the system calls that start programs, look into other processes, or change
/// mounts, namespaces and the kernel (seccomp(2)); they fail with EPERM. It cannot be undone. Error: io_error.
[[nodiscard]] Result<void> confine(std::span<const unsigned> kept);

}  // namespace pollux::tool
