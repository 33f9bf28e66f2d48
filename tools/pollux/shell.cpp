// SPDX-License-Identifier: BSD-3-Clause
#include "shell.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <vector>

namespace pollux::tool {
namespace {

/// The environment with this program's directory in front of PATH.
std::vector<std::string> with_own_path() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  std::string path = error ? std::string() : self.parent_path().string() + ":";
  const char* const inherited = std::getenv("PATH");
  path += inherited != nullptr ? inherited : "/usr/sbin:/usr/bin:/sbin:/bin";
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!std::string_view(*variable).starts_with("PATH=")) variables.emplace_back(*variable);
  }
  variables.push_back("PATH=" + path);
  return variables;
}

}  // namespace

int run_shell(const std::string& command) {
  constexpr int kNotStarted = 127;
  constexpr int kEndedBySignal = 128;
  std::vector<std::string> variables = with_own_path();
  std::vector<char*> environment;
  for (std::string& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  std::string shell = "sh";
  std::string option = "-c";
  std::string script = command;
  std::array<char*, 4> words{shell.data(), option.data(), script.data(), nullptr};

  posix_spawn_file_actions_t actions;
  if (::posix_spawn_file_actions_init(&actions) != 0) return kNotStarted;
  ::posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  pid_t child = 0;
  const int failed = ::posix_spawn(&child, "/bin/sh", &actions, nullptr, words.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return kNotStarted;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return kNotStarted;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : kEndedBySignal + WTERMSIG(status);
}

}  // namespace pollux::tool
