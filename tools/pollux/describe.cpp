// SPDX-License-Identifier: BSD-3-Clause
// `pollux completion` and `pollux manual`: what the declarations of all commands say, for shells and for man(1).
#include <fmt/format.h>
#include "common/cli.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <ostream>

#include "commands.hpp"
#include "describe/command_tree.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

namespace fs = std::filesystem;

int write_pages(const Environment& environment, const cli::App& app, const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  const auto root = describe::describe(app);
  for (const describe::CommandDescription* command : describe::all_commands(root)) {
    const fs::path file = folder / (command->full_name("-") + ".1");
    errno = 0;
    std::ofstream out(file, std::ios::trunc);
    out << describe::manual_page(*command, POLLUX_VERSION_TEXT) << std::flush;
    if (out) continue;
    return report(environment, fail_errno(ErrorCode::io_error, "cannot write " + file.string(),
                                          errno != 0 ? errno : EIO, "name a folder that you may write")
                                   .value());
  }
  return kSuccess;
}

}  // namespace

void add_completion(cli::App& app, const Environment& environment, int& exit_code) {
  auto shell = std::make_shared<std::string>();
  cli::App* command = app.add_subcommand("completion", "Print the completion script for a shell");
  command->add_option("shell", *shell, "The shell")->required()->check(cli::one_of({"bash", "zsh", "fish"}));
  command->footer(
      "pollux completion bash > ~/.local/share/bash-completion/completions/pollux\n"
      "pollux completion zsh > ~/.zfunc/_pollux\n"
      "pollux completion fish > ~/.config/fish/completions/pollux.fish\n"
      "An installed Pollux has these scripts where the shells look for them.");
  command->callback([shell, &app, &environment, &exit_code] {
    environment.out << describe::completion_script(describe::describe(app), *shell);
    exit_code = kSuccess;
  });
}

void add_manual(cli::App& app, const Environment& environment, int& exit_code) {
  auto folder = std::make_shared<std::string>();
  cli::App* command = app.add_subcommand("manual", "Write the man pages of all commands into a folder");
  command->add_option("folder", *folder, "The folder; it is made if it does not exist")->required();
  command->footer(
      "pollux manual ~/.local/share/man/man1\n"
      "An installed Pollux has these pages: man pollux, man pollux-bind.");
  command->callback([folder, &app, &environment, &exit_code] { exit_code = write_pages(environment, app, *folder); });
}

}  // namespace pollux::tool
