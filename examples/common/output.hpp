// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <spdlog/logger.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace pollux::examples {

/// Standard output, a line at a time: nothing waits in a buffer, for whoever reads a pipe. What cannot be written (a
/// full disk, a descriptor that is closed) is said once and makes the program's status 1; the program goes on, since
/// its frames matter more than its lines.
class Output {
 public:
  explicit Output(spdlog::logger& log) : log_(log) {}

  void line(std::string_view text);
  /// Sends out what the libraries still hold, such as a help text. `status`, or 1 in place of 0 if anything was lost.
  [[nodiscard]] int finish(int status);

 private:
  void note(int error);

  spdlog::logger& log_;
  bool failed_ = false;
};

/// What `main` returns: `body`'s status, on streams that are what they should be. Status 1 at once where standard
/// output is closed.
[[nodiscard]] int run_program(
    const std::string& name,
    const std::function<int(const std::shared_ptr<spdlog::logger>& log, Output& output)>& body);

}  // namespace pollux::examples
