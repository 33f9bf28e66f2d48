// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <spdlog/logger.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace pollux::tools {

/// Writes lines to standard output without a buffer, so that a program that reads them from a pipe gets each line at
/// once. A failed write (a full disk, a closed descriptor) is reported once and makes the exit status 1. The program
/// continues, since its frames are more important than its output.
class Output {
 public:
  explicit Output(spdlog::logger& log) : log_(log) {}

  void line(std::string_view text);
  /// Flushes the libraries' buffers, which may hold a help text. Returns `status`, or 1 in place of 0 if output was
  /// lost.
  [[nodiscard]] int finish(int status);

 private:
  void note(int error);

  spdlog::logger& log_;
  bool failed_ = false;
};

/// Runs `body` with valid standard streams and returns its status, for `main`: 1 in place of 0 if an error was logged,
/// by the library or the program. Returns 1 at once if standard output is closed.
[[nodiscard]] int run_program(
    const std::string& name,
    const std::function<int(const std::shared_ptr<spdlog::logger>& log, Output& output)>& body);

}  // namespace pollux::tools
