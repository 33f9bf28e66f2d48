// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

namespace pollux::examples {

/// To be called before a program opens anything. Where descriptor 0, 1 or 2 is closed, the next file to be opened would
/// get its number, and output would go into that: into a card's, say. Opens the null device in their place. False where
/// standard output was closed: nobody would see what the program finds out.
[[nodiscard]] bool secure_standard_streams();

/// Writes all of `text` to standard output. 0, or the errno of why that is not possible.
[[nodiscard]] int write_all(std::string_view text);

/// Whatever the C and C++ libraries still hold for standard output goes out. 0, or the errno of why it did not.
[[nodiscard]] int flush_output();

/// "cannot write to standard output: No space left on device".
[[nodiscard]] std::string cannot_write(int error);

}  // namespace pollux::examples
