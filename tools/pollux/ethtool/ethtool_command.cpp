// SPDX-License-Identifier: BSD-3-Clause
// `pollux ethtool`: the distribution's ethtool on a port of a running program.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include "common/cli.hpp"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <ostream>
#include <string>
#include <system_error>
#include <vector>

#include "commands.hpp"
#include "ethtool/arguments.hpp"
#include "report.hpp"
#include "telemetry_client.hpp"

namespace pollux::tool {
namespace {

constexpr const char* kShim = "pollux-ethtool.so";
/// The only option that is not ethtool's.
constexpr const char* kAllUsers = "--all-users";

std::string inherited(const char* variable) {
  const char* const value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

/// Beside this program as in a build, or where it was installed to.
Result<std::string> find_shim() {
  std::error_code error;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const auto& candidate : {folder / kShim, folder / POLLUX_SHIM_FOLDER / kShim}) {
    if (std::filesystem::exists(candidate, error)) return candidate.lexically_normal().string();
  }
  return fail(ErrorCode::not_found,
              fmt::format("{} is missing in {} and {}", kShim, folder.string(), POLLUX_SHIM_FOLDER),
              "install Pollux again: cmake --install");
}

/// Lets ethtool inherit what is open. A program that was asked may have sent a descriptor whose close takes long, and
/// which a thread is closing (close_elsewhere): exec would close it itself, and wait. At the end of a process nothing
/// waits.
void leave_open() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const int descriptor = std::stoi(entry.path().filename().string());
    if (descriptor > STDERR_FILENO) static_cast<void>(::fcntl(descriptor, F_SETFD, 0));
  }
}

/// Replaces this process by ethtool. Returns only if that fails.
Error run_ethtool(const std::string& tool, const std::string& shim, const RunningPort& port,
                  const std::vector<std::string>& words) {
  const std::string others = inherited("LD_PRELOAD");
  ::setenv("LD_PRELOAD", (others.empty() ? shim : shim + ":" + others).c_str(), 1);
  ::setenv("POLLUX_ETHTOOL_SOCKET", port.socket.c_str(), 1);
  ::setenv("POLLUX_ETHTOOL_PORT", port.name.c_str(), 1);
  std::vector<std::string> copies{"ethtool"};
  copies.insert(copies.end(), words.begin(), words.end());
  std::vector<char*> arguments;
  for (std::string& word : copies) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  leave_open();
  ::execv(tool.c_str(), arguments.data());
  return fail_errno(ErrorCode::io_error, "cannot run " + tool, errno, "see whether it is a program of this machine")
      .value();
}

int run(const Environment& environment, std::vector<std::string> words) {
  const Users users = !words.empty() && words.front() == kAllUsers ? Users::all : Users::own;
  if (users == Users::all) words.erase(words.begin());
  if (words.empty()) {
    return report(environment,
                  Error{ErrorCode::invalid_argument, "no port is named", "such as pollux ethtool -S plx0"});
  }
  if (auto possible = check_ethtool_arguments(words); !possible) return report(environment, possible.error());
  // ethtool lies where only root's PATH leads.
  const auto tool = find_ethtool(inherited("PATH") + ":/usr/local/sbin:/usr/sbin:/sbin");
  if (!tool) return report(environment, tool.error());
  const auto shim = find_shim();
  if (!shim) return report(environment, shim.error());
  if (auto possible = check_preload(*shim); !possible) return report(environment, possible.error());
  RunningPort port;
  if (const auto device = ethtool_device(words)) {
    auto found = select_port(running_ports(telemetry_directories(users)), words[*device]);
    if (!found) return report(environment, found.error());
    port = *std::move(found);
    words[*device] = port.name;
  }
  environment.out.flush();
  return report(environment, run_ethtool(*tool, *shim, port, words));
}

}  // namespace

void add_ethtool(cli::App& app, const Environment& environment, int& exit_code) {
  cli::App* command = app.add_subcommand("ethtool", "Run the system's ethtool on a port of a running program");
  // ethtool has its own options, which are passed on as they are.
  command->prefix_command();
  command->fallthrough(false);
  command->footer(
      "[OPTION] PORT ...: the arguments of ethtool(8), after --all-users for the programs of other users, as root.\n"
      "The port is one of a running program with telemetry, as\n"
      "`pollux ports` lists it: its name, its URI, or the process id. ethtool itself is the distribution's; what it "
      "asks\n"
      "the kernel about a network interface is answered by the program. share/doc/pollux/ethtool.md lists what a port "
      "can answer.\n"
      "Examples:\n"
      "  pollux ethtool plx0\n"
      "  pollux ethtool -S sim:0\n"
      "  pollux ethtool -A plx0 rx on tx on");
  command->callback([command, &environment, &exit_code] { exit_code = run(environment, command->remaining()); });
}

}  // namespace pollux::tool
