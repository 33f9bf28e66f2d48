// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace pollux::tool {

/// Lets this thread, and those that it starts, make no system call but those of a list (seccomp(2)). Others fail with
/// EPERM. `makes_sockets`: with those for new sockets of Unix and of the internet. False if the kernel refuses that.
[[nodiscard]] bool restrict_calls(bool makes_sockets);

}  // namespace pollux::tool
