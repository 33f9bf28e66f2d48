// SPDX-License-Identifier: BSD-3-Clause
#include "run_command.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/file_descriptor.hpp"
#include "base/shell_words.hpp"

namespace pollux::tool {
namespace {

/// A file with this text, to be read from its beginning; none if it cannot be made.
FileDescriptor file_with(const std::string& text) {
  FileDescriptor file(::memfd_create("pollux-input", MFD_CLOEXEC));
  const bool written = file && ::pwrite(file.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
  return written ? std::move(file) : FileDescriptor();
}

}  // namespace

std::string shell_text(const Invocation& command) { return shell_line(command.words); }

int run_command(const Invocation& command) {
  constexpr int kNotStarted = 127;
  constexpr int kEndedBySignal = 128;
  std::vector<char*> words;
  for (const std::string& word : command.words) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const FileDescriptor input = command.input.empty() ? FileDescriptor() : file_with(command.input);
  if (!input && !command.input.empty()) return kNotStarted;

  posix_spawn_file_actions_t actions;
  if (::posix_spawn_file_actions_init(&actions) != 0) return kNotStarted;
  if (input) ::posix_spawn_file_actions_adddup2(&actions, input.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  const char* const program = command.words.front() == "pollux" ? "/proc/self/exe" : words.front();
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, program, &actions, nullptr, words.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return kNotStarted;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return kNotStarted;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : kEndedBySignal + WTERMSIG(status);
}

}  // namespace pollux::tool
