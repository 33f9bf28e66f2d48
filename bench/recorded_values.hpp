// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <string>
#include <vector>

namespace pollux::bench {

/// Instructions for each operation, as one compiler with one set of flags makes them.
struct RecordedValues {
  std::string compiler;
  std::string flags;
  std::map<std::string, double> instructions;

  /// Whether they say anything about this program.
  [[nodiscard]] bool are_ours() const;
};

/// What a file holds: values for each compiler that was recorded.
class Records {
 public:
  /// None where there is no such file. The program ends where there is one, but no such values in it.
  [[nodiscard]] static Records read(const std::string& path);
  void write(const std::string& path) const;

  /// Those for this program; null where none were recorded.
  [[nodiscard]] const RecordedValues* ours() const;
  /// The same, made where there are none.
  [[nodiscard]] RecordedValues& make_ours();
  /// The compilers that were recorded, for a message.
  [[nodiscard]] std::string compilers() const;

 private:
  std::vector<RecordedValues> all_;
};

/// Of this program, as CMake has it.
[[nodiscard]] std::string compiler_here();
[[nodiscard]] std::string flags_here();

}  // namespace pollux::bench
