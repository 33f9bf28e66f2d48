// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

namespace pollux::tool {

/// The text that stands for so many lines that were left out, with its end of line.
using LeftOutText = std::string (*)(std::uint64_t lines);
[[nodiscard]] std::string left_out_text(std::uint64_t lines);

/// For servers, before they confine themselves: from now on std::cout and std::cerr neither end the program nor make it
/// wait. Else a client that makes the server write something would do that to all others. What a pipe, a socket or a
/// terminal does not take now, since nobody reads it, is left out, and `left_out` tells of it before the next text that
/// is taken. After a stop signal each stream waits for at most a second. Errors, such as EPIPE and EFBIG, are
/// those of `output_error`. Further calls do nothing.
void never_wait_for_readers(LeftOutText left_out = left_out_text);

/// Why standard output lacks something that was written since then, as an errno (EAGAIN: nobody has read it); else 0.
[[nodiscard]] int output_error();

}  // namespace pollux::tool
