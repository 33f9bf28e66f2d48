// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <string>
#include <vector>

namespace pollux::bench {

/// Instructions per operation of code from one compiler with one set of flags.
struct RecordedValues {
  std::string compiler;
  std::string flags;
  std::map<std::string, double> instructions;

  /// Whether this program was built with the same compiler and flags.
  [[nodiscard]] bool are_ours() const;
};

/// The contents of a file: values for each recorded compiler.
class Records {
 public:
  /// Returns no values if there is no such file. Ends the program if the file cannot be parsed.
  [[nodiscard]] static Records read(const std::string& path);
  void write(const std::string& path) const;

  /// The values for this program; null if there are none.
  [[nodiscard]] const RecordedValues* ours() const;
  /// The values for this program, which are added if there are none.
  [[nodiscard]] RecordedValues& make_ours();
  /// The compilers that were recorded, for a message.
  [[nodiscard]] std::string compilers() const;

 private:
  std::vector<RecordedValues> all_;
};

/// The compiler and the flags of this program, from CMake.
[[nodiscard]] std::string compiler_here();
[[nodiscard]] std::string flags_here();

}  // namespace pollux::bench
