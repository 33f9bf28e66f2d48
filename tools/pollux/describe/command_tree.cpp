// SPDX-License-Identifier: BSD-3-Clause
#include "describe/command_tree.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <sstream>

#include "common/cli.hpp"

namespace pollux::tool::describe {
namespace {

/// The members of a text such as "{on,off}" in the name of a value's type; none if there is no such text.
std::vector<std::string> choices_in(const std::string& type) {
  std::vector<std::string> choices;
  const auto open = type.find('{');
  const auto close = type.find('}', open);
  if (open == std::string::npos || close == std::string::npos) return choices;
  std::istringstream members(type.substr(open + 1, close - open - 1));
  for (std::string member; std::getline(members, member, ',');) {
    // A map of names to values is shown as "name->value".
    choices.push_back(member.substr(0, member.find("->")));
  }
  return choices;
}

OptionDescription describe_option(const CLI::Option& option) {
  OptionDescription description;
  description.text = option.get_description();
  description.positional = option.get_positional();
  description.required = option.get_required();
  description.repeated = option.get_items_expected_max() > 1;
  if (description.positional) {
    description.names = {option.get_name(true)};
  } else {
    for (const std::string& name : option.get_lnames()) description.names.push_back("--" + name);
    for (const std::string& name : option.get_snames()) description.names.push_back("-" + name);
  }
  const bool is_flag = option.get_items_expected_max() == 0 || option.get_expected_max() == 0;
  if (!is_flag && !description.positional) {
    description.value = option.get_type_name().empty() ? "VALUE" : option.get_type_name();
  }
  description.choices = choices_in(option.get_type_name());
  return description;
}

bool is_example(const std::string& line) {
  const auto start = line.find_first_not_of(' ');
  if (start == std::string::npos) return false;
  const std::string text = line.substr(start) + ' ';
  return std::ranges::any_of(std::array{"pollux ", "sudo pollux ", "l2fwd ", "wireshark "},
                             [&](const char* command) { return text.starts_with(command); });
}

void add_footer(const std::string& footer, CommandDescription& description) {
  std::istringstream lines(footer);
  for (std::string line; std::getline(lines, line);) {
    const bool goes_on = !description.examples.empty() && description.examples.back().ends_with('\\');
    if (is_example(line) || (goes_on && line.starts_with(' '))) {
      description.examples.push_back(line.substr(line.find_first_not_of(' ')));
    } else if (!line.empty() && line != "Examples:" && line != "Example:") {
      description.notes.push_back(line);
    }
  }
}

CommandDescription describe_below(const CLI::App& app, std::vector<std::string> path) {
  CommandDescription description;
  path.push_back(app.get_name());
  description.path = path;
  description.text = app.get_description();
  add_footer(app.get_footer(), description);
  for (const CLI::Option* option : app.get_options()) description.options.push_back(describe_option(*option));
  for (const CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; })) {
    description.subcommands.push_back(describe_below(*child, path));
  }
  return description;
}

void add_all(const CommandDescription& command, std::vector<const CommandDescription*>& list) {
  list.push_back(&command);
  for (const CommandDescription& child : command.subcommands) add_all(child, list);
}

}  // namespace

std::string CommandDescription::full_name(const std::string& separator) const {
  std::string name;
  for (const std::string& word : path) name += (name.empty() ? "" : separator) + word;
  return name;
}

CommandDescription describe(const cli::App& app) { return describe_below(app.declaration(), {}); }

std::vector<const CommandDescription*> all_commands(const CommandDescription& root) {
  std::vector<const CommandDescription*> list;
  add_all(root, list);
  return list;
}

}  // namespace pollux::tool::describe
