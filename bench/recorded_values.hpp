// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <string>

namespace pollux::bench {

/// Instructions for each operation, and what compiled the code that they were counted in: with another compiler, or
/// other flags, they say nothing.
struct RecordedValues {
  std::string compiler;
  std::string flags;
  std::map<std::string, double> instructions;

  /// Empty values where there is no such file. The program ends where there is one, but no such values in it.
  [[nodiscard]] static RecordedValues read(const std::string& path);
  void write(const std::string& path) const;
};

/// Of this program, as CMake has it.
[[nodiscard]] std::string compiler_here();
[[nodiscard]] std::string flags_here();

}  // namespace pollux::bench
