// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>

namespace pollux::examples {

/// A line on standard output that does not wait in a buffer, for whoever reads a pipe.
inline void print_line(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

}  // namespace pollux::examples
