// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux::qtest {

/// A child process. It ends when this object is destroyed, and when the process that started it ends, even by a crash:
/// only that process has the write end of a pipe, and the kernel kills the child when the write end closes (see
/// process.cpp). The child has its own process group, so that a terminal's Ctrl-C does not reach it. Its output is
/// stored and printed nowhere. The host process is not affected: no signal handler, no waiting for its other children.
/// Thread rule: one thread at a time, except `kill`, which any thread may call.
class Process {
 public:
  /// Runs `arguments` (the first is the program's path). The child inherits only the descriptors in `inherited`, under
  /// the same numbers. Errors: those of the system calls, and the reason why the program cannot be run.
  [[nodiscard]] static Result<Process> start(const std::vector<std::string>& arguments,
                                             const std::vector<int>& inherited);
  Process() = default;
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// Kills the child at once, even if it is stopped.
  void kill() const noexcept;
  /// Waits for the child's end, at most `limit`. True if it has ended.
  [[nodiscard]] bool wait(std::chrono::milliseconds limit);
  /// "exit status 1" or "signal 9 (Killed)"; "still running" until `wait` has returned true.
  [[nodiscard]] const std::string& exit_text() const noexcept { return exit_text_; }
  /// The end of the child's output, at most 1,500 bytes.
  [[nodiscard]] std::string last_output() const;

 private:
  pid_t pid_ = -1;
  FileDescriptor handle_;
  FileDescriptor lifetime_;  // write end of the pipe whose closing kills the child
  FileDescriptor output_;
  std::string exit_text_ = "still running";
  bool ended_ = true;
};

/// The path of `program`: `program` itself if it contains a slash, else the match in PATH. Error: not_found.
[[nodiscard]] Result<std::string> find_program(const std::string& program);

}  // namespace pollux::qtest
