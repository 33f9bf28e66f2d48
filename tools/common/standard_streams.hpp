// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

namespace pollux::tools {

/// Opens the null device in place of closed descriptors 0, 1 and 2; call it before the program opens anything.
/// Otherwise the next opened file, such as a card's, would get such a descriptor, and output would go to it. Returns
/// false if standard output was closed: nobody could read the program's output.
[[nodiscard]] bool secure_standard_streams();

/// Writes all of `text` to standard output. Returns 0 or an errno.
[[nodiscard]] int write_all(std::string_view text);

/// Flushes standard output of the C and C++ libraries. Returns 0 or an errno.
[[nodiscard]] int flush_output();

/// The message for an errno: "cannot write to standard output: No space left on device".
[[nodiscard]] std::string cannot_write(int error);

}  // namespace pollux::tools
