// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

namespace pollux::cli {
class App;
}

/// The description of a command, read from its declaration: the one source of --help, completion and man pages.
namespace pollux::tool::describe {

struct OptionDescription {
  std::vector<std::string> names;  ///< with their dashes, the long ones first; a positional has its name alone
  std::string text;
  std::string value;  ///< name of the value; empty for a flag
  bool positional = false;
  bool required = false;
  bool repeated = false;             ///< takes several values
  std::vector<std::string> choices;  ///< the values that it takes, if they are a fixed set
};

struct CommandDescription {
  std::vector<std::string> path;  ///< "pollux", "vf", "list"
  std::string text;
  std::vector<std::string> examples;
  std::vector<std::string> notes;  ///< lines of the help text's end that are no examples; indented ones stay lines
  std::vector<OptionDescription> options;
  std::vector<CommandDescription> subcommands;

  /// "pollux vf list"; `separator` stands between the words.
  [[nodiscard]] std::string full_name(const std::string& separator = " ") const;
};

[[nodiscard]] CommandDescription describe(const cli::App& app);

/// The command and all below it, parents first.
[[nodiscard]] std::vector<const CommandDescription*> all_commands(const CommandDescription& root);

/// The completion script for "bash", "zsh" or "fish"; empty for another shell.
[[nodiscard]] std::string completion_script(const CommandDescription& root, const std::string& shell);

/// The man page (section 1) of one command, for man(7).
[[nodiscard]] std::string manual_page(const CommandDescription& command, const std::string& version);

}  // namespace pollux::tool::describe
