// SPDX-License-Identifier: BSD-3-Clause
// Completion scripts for bash, zsh and fish. All find the subcommand by walking the words before the cursor, and offer
// its subcommands, options, ports, and the values of an option with a fixed set of them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "describe/command_tree.hpp"

namespace pollux::tool::describe {
namespace {

constexpr const char* kHeader = "# Made by `pollux completion {}`.\n";

/// A word between single quotes, for bash and zsh.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

/// A word between single quotes, for fish.
std::string fish_quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return result + "'";
}

/// The commands whose ports are those of running programs, by name.
constexpr std::array<std::string_view, 5> kOfRunningPrograms{"capture", "ethtool", "set", "show", "stats"};

bool takes_running_ports(const CommandDescription& command) {
  return std::ranges::find(kOfRunningPrograms, command.path.back()) != kOfRunningPrograms.end();
}

bool takes_ports(const CommandDescription& command) {
  return !takes_running_ports(command) &&
         std::any_of(command.options.begin(), command.options.end(), [](const OptionDescription& option) {
           return option.positional && option.names[0].starts_with("port");
         });
}

/// A pattern that matches each command below the root, as "pollux vf list".
std::string path_pattern(const std::vector<const CommandDescription*>& commands, const char* separator) {
  std::vector<std::string> names;
  for (const CommandDescription* command : commands) {
    if (command->path.size() > 1) names.push_back(quoted(command->full_name()));
  }
  return fmt::format("{}", fmt::join(names, separator));
}

std::vector<std::string> option_names(const CommandDescription& command) {
  std::vector<std::string> names;
  for (const OptionDescription& option : command.options) {
    if (!option.positional) names.insert(names.end(), option.names.begin(), option.names.end());
  }
  return names;
}

/// For bash and zsh: the ports that a word may become, and those of running programs, one a line. What else a program
/// calls a port is left out: bash runs commands that a list of words contains (compgen -W).
constexpr const char* kShellFunctions =
    "_pollux_ports() {\n"
    "  local device scheme=''\n"
    "  [[ $1 != v* ]] || scheme=vfio:\n"
    "  command ls /sys/bus/pci/devices 2>/dev/null | while read -r device; do echo \"$scheme$device\"; done\n"
    "  echo sim:0\n"
    "  echo sim:1\n"
    "}\n"
    "_pollux_running() {\n"
    "  command \"$1\" ports 2>/dev/null | while read -r name _; do [[ ! $name =~ ^plx[0-9]+$ ]] || echo \"$name\"; "
    "done\n"
    "}\n";

/// Lines of "pattern) action" for each option with a fixed set of values.
template <class Action>
std::string choice_cases(const std::vector<const CommandDescription*>& commands, const Action& action) {
  std::string cases;
  for (const CommandDescription* command : commands) {
    for (const OptionDescription& option : command->options) {
      if (option.choices.empty() || option.positional) continue;
      for (const std::string& name : option.names) {
        cases += fmt::format("    {}) {} ;;\n", quoted(command->full_name() + " " + name), action(option.choices));
      }
    }
  }
  return cases;
}

std::string bash_script(const std::vector<const CommandDescription*>& commands) {
  std::string cases;
  for (const CommandDescription* command : commands) {
    std::vector<std::string> words;
    for (const CommandDescription& child : command->subcommands) words.push_back(child.path.back());
    const auto options = option_names(*command);
    words.insert(words.end(), options.begin(), options.end());
    for (const OptionDescription& option : command->options) {
      if (option.positional) words.insert(words.end(), option.choices.begin(), option.choices.end());
    }
    cases += fmt::format("    {}) words={}{} ;;\n", quoted(command->full_name()),
                         quoted(fmt::format("{}", fmt::join(words, " "))),
                         takes_running_ports(*command) ? "\" $(_pollux_running \"$program\")\""
                         : takes_ports(*command)       ? "\" $(_pollux_ports \"$current\")\""
                                                       : "");
  }
  const std::string values = choice_cases(commands, [](const std::vector<std::string>& choices) {
    return "words=" + quoted(fmt::format("{}", fmt::join(choices, " ")));
  });
  return fmt::format(kHeader, "bash") + kShellFunctions + "_pollux() {\n" +
         // bash may split words at ':', which URIs and PCI addresses contain, so the line is split here.
         "  local line=${COMP_LINE:0:COMP_POINT} at=pollux program=${1:-pollux} words='' previous=''\n"
         "  local current=${line##* } typed\n"
         "  read -ra typed <<<\"${line% *}\"\n"
         "  for previous in \"${typed[@]:1}\"; do\n"
         "    case \"$at $previous\" in\n"
         "      " +
         path_pattern(commands, " | ") +
         ") at=\"$at $previous\" ;;\n"
         "    esac\n"
         "  done\n"
         "  case $at in\n" +
         cases +
         "  esac\n"
         "  case \"$at $previous\" in\n" +
         values +
         "    '') ;;\n"
         "  esac\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
         // What is before the last ':' is no part of the word, then.
         "  [[ ${COMP_WORDBREAKS-:} != *:* ]] || COMPREPLY=(\"${COMPREPLY[@]#\"${current%\"${current##*:}\"}\"}\")\n"
         "}\n"
         "complete -o default -F _pollux pollux\n";
}

/// An entry of zsh's _describe: a colon separates the word from its description.
std::string zsh_entry(const std::string& word, const std::string& text) {
  std::string escaped;
  for (const char c : word) escaped += c == ':' ? std::string("\\:") : std::string(1, c);
  return quoted(escaped + ":" + text);
}

std::string zsh_script(const std::vector<const CommandDescription*>& commands) {
  std::string cases;
  for (const CommandDescription* command : commands) {
    std::vector<std::string> entries;
    for (const CommandDescription& child : command->subcommands) {
      entries.push_back(zsh_entry(child.path.back(), child.text));
    }
    for (const OptionDescription& option : command->options) {
      for (const std::string& choice : option.positional ? option.choices : std::vector<std::string>{}) {
        entries.push_back(zsh_entry(choice, option.text));
      }
      for (const std::string& name : option.positional ? std::vector<std::string>{} : option.names) {
        entries.push_back(zsh_entry(name, option.text));
      }
    }
    cases += fmt::format("    {}) entries=({}){} ;;\n", quoted(command->full_name()), fmt::join(entries, " "),
                         takes_running_ports(*command) ? "; ports=(${(f)\"$(_pollux_running $words[1])\"})"
                         : takes_ports(*command)       ? "; ports=(${(f)\"$(_pollux_ports \"$words[CURRENT]\")\"})"
                                                       : "");
  }
  const std::string values = choice_cases(commands, [](const std::vector<std::string>& choices) {
    std::vector<std::string> entries;
    for (const std::string& choice : choices) entries.push_back(zsh_entry(choice, ""));
    return fmt::format("entries=({}); ports=()", fmt::join(entries, " "));
  });
  return "#compdef pollux\n" + fmt::format(kHeader, "zsh") + kShellFunctions + "_pollux() {\n" +
         "  local at=pollux word previous=''\n"
         "  local -a entries ports\n"
         "  for word in ${words[2,CURRENT-1]}; do\n"
         "    previous=$word\n"
         "    case \"$at $word\" in\n"
         "      (" +
         path_pattern(commands, "|") +
         ") at=\"$at $word\" ;;\n"
         "    esac\n"
         "  done\n"
         "  case $at in\n" +
         cases +
         "  esac\n"
         "  case \"$at $previous\" in\n" +
         values +
         "    '') ;;\n"
         "  esac\n"
         "  _describe 'pollux' entries\n"
         "  if (( $#ports )); then\n"
         "    compadd -- $ports\n"
         "  else\n"
         "    _files\n"
         "  fi\n"
         "}\n"
         "if [ \"$funcstack[1]\" = _pollux ]; then _pollux \"$@\"; else compdef _pollux pollux; fi\n";
}

std::string fish_option(const CommandDescription& command, const OptionDescription& option) {
  std::string names;
  for (const std::string& name : option.names) {
    names += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  std::string values = option.value.empty() ? "" : option.choices.empty() ? " -r" : " -x -a ";
  if (!option.choices.empty() && !option.value.empty()) {
    values += fish_quoted(fmt::format("{}", fmt::join(option.choices, " ")));
  }
  return fmt::format("complete -c pollux -n \"__pollux_at {}\"{}{} -d {}\n", command.full_name(), names, values,
                     fish_quoted(option.text));
}

std::string fish_script(const std::vector<const CommandDescription*>& commands) {
  std::string script = fmt::format(kHeader, "fish") +
                       "function __pollux_at\n"
                       "  set -l at pollux\n"
                       "  for word in (commandline -opc)\n"
                       "    switch \"$at $word\"\n"
                       "      case " +
                       path_pattern(commands, " ") +
                       "\n"
                       "        set at \"$at $word\"\n"
                       "    end\n"
                       "  end\n"
                       "  test \"$at\" = \"$argv\"\n"
                       "end\n"
                       "function __pollux_ports\n"
                       "  set -l devices (command ls /sys/bus/pci/devices 2>/dev/null)\n"
                       "  string match -q 'v*' -- (commandline -ct); and set devices vfio:$devices\n"
                       "  printf '%s\\n' $devices sim:0 sim:1\n"
                       "end\n"
                       "function __pollux_running\n"
                       "  set -l words (commandline -opc)\n"
                       "  $words[1] ports 2>/dev/null | string match -rg '^(plx[0-9]+)\\s'\n"
                       "end\n"
                       "complete -c pollux -e\n";
  for (const CommandDescription* command : commands) {
    const std::string where = fmt::format("complete -c pollux -n \"__pollux_at {}\"", command->full_name());
    for (const CommandDescription& child : command->subcommands) {
      script += fmt::format("{} -f -a {} -d {}\n", where, child.path.back(), fish_quoted(child.text));
    }
    for (const OptionDescription& option : command->options) {
      if (!option.positional) script += fish_option(*command, option);
      if (option.positional && !option.choices.empty()) {
        script += fmt::format("{} -f -a {}\n", where, fish_quoted(fmt::format("{}", fmt::join(option.choices, " "))));
      }
    }
    if (takes_ports(*command)) script += where + " -f -a \"(__pollux_ports)\"\n";
    if (takes_running_ports(*command)) script += where + " -f -a \"(__pollux_running)\"\n";
  }
  return script;
}

}  // namespace

std::string completion_script(const CommandDescription& root, const std::string& shell) {
  const auto commands = all_commands(root);
  if (shell == "bash") return bash_script(commands);
  if (shell == "zsh") return zsh_script(commands);
  if (shell == "fish") return fish_script(commands);
  return {};
}

}  // namespace pollux::tool::describe
