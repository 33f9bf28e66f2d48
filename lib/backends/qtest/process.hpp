// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux::qtest {

/// A program that lives no longer than this object, nor than the process that made it, however that ends: the kernel
/// kills it when the last writing end of a pipe goes away, which only this process has (see process.cpp). It has a
/// process group of its own, so that a terminal's Ctrl-C is not meant for it; what it prints is kept and nowhere else
/// seen. Nothing of the host process is touched: no signal handler, no waiting for other children.
/// Thread rule: one thread at a time, except `kill`, which any thread may call.
class Process {
 public:
  /// Runs `arguments` (the first is the program's path). The child has the descriptors in `inherited` under their own
  /// numbers, and no others. Errors: those of the system calls, and the reason for which the program could not be run.
  [[nodiscard]] static Result<Process> start(const std::vector<std::string>& arguments,
                                             const std::vector<int>& inherited);
  Process() = default;
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// Ends it at once, even if it is stopped.
  void kill() const noexcept;
  /// Waits until it has ended, at most so long. Whether it has.
  [[nodiscard]] bool wait(std::chrono::milliseconds limit);
  /// "exit status 1", "signal 9 (Killed)"; "still running" as long as `wait` has not said otherwise.
  [[nodiscard]] const std::string& exit_text() const noexcept { return exit_text_; }
  /// The last lines that it printed.
  [[nodiscard]] std::string last_words() const;

 private:
  pid_t pid_ = -1;
  FileDescriptor handle_;
  FileDescriptor leash_;
  FileDescriptor output_;
  std::string exit_text_ = "still running";
  bool ended_ = true;
};

/// The path of `program`: itself if it has a slash in it, else where PATH has it. Error: not_found.
[[nodiscard]] Result<std::string> find_program(const std::string& program);

}  // namespace pollux::qtest
