// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "confine/confinement.hpp"

namespace pollux::tool {

/// Lets this thread, and those that it starts, make no system call but those of a list (seccomp(2)). Others fail with
/// EPERM. False if the kernel refuses that.
[[nodiscard]] bool restrict_calls(const Confinement& needed);

}  // namespace pollux::tool
