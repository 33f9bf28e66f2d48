// SPDX-License-Identifier: BSD-3-Clause
// Man pages, in the macros of man(7).
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "describe/command_tree.hpp"

namespace pollux::tool::describe {
namespace {

/// Text for troff: a backslash and a leading dot or quote have a meaning there, and a bare hyphen may become another
/// character.
std::string troff(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";
    } else {
      result += c;
    }
  }
  return result.starts_with('.') || result.starts_with('\'') ? "\\&" + result : result;
}

std::string option_synopsis(const OptionDescription& option) {
  std::string text =
      option.positional ? "\\fI" + troff(option.names[0]) + "\\fR" : "\\fB" + troff(option.names[0]) + "\\fR";
  if (!option.value.empty()) text += " \\fI" + troff(option.value) + "\\fR";
  if (option.repeated && option.positional) text += " ...";
  return option.required ? text : "[" + text + "]";
}

std::string option_entry(const OptionDescription& option) {
  std::string names;
  for (const std::string& name : option.names) {
    names += (names.empty() ? "" : ", ") + std::string(option.positional ? "\\fI" : "\\fB") + troff(name) + "\\fR";
  }
  if (!option.value.empty()) names += " \\fI" + troff(option.value) + "\\fR";
  return ".TP\n" + names + "\n" + troff(option.text.empty() ? "No description." : option.text) + "\n";
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::string synopsis(const CommandDescription& command) {
  std::string text = ".SH SYNOPSIS\n\\fB" + troff(command.full_name()) + "\\fR";
  for (const OptionDescription& option : command.options) text += "\n" + option_synopsis(option);
  if (!command.subcommands.empty()) text += "\n\\fIcommand\\fR ...";
  return text + "\n";
}

std::string see_also(const CommandDescription& command) {
  std::vector<std::string> names;
  if (command.path.size() > 1) {
    CommandDescription parent;
    parent.path.assign(command.path.begin(), command.path.end() - 1);
    names.push_back(parent.full_name("-"));
  }
  for (const CommandDescription& child : command.subcommands) names.push_back(child.full_name("-"));
  std::string text = ".SH SEE ALSO\n";
  for (std::size_t i = 0; i < names.size(); ++i) {
    text += fmt::format(".BR {} (1){}\n", troff(names[i]), i + 1 < names.size() ? "," : "");
  }
  return names.empty() ? "" : text;
}

/// Paragraphs, and lines that are not filled.
std::string notes_of(const CommandDescription& command) {
  std::string text = command.notes.empty() ? "" : ".PP\n";
  bool filled = true;
  for (const std::string& line : command.notes) {
    const bool fills = !line.starts_with(' ');
    if (fills != filled) text += fills ? ".fi\n" : ".nf\n";
    filled = fills;
    text += troff(line) + "\n";
  }
  return filled ? text : text + ".fi\n";
}

}  // namespace

std::string manual_page(const CommandDescription& command, const std::string& version) {
  const std::string name = command.full_name("-");
  std::string page = fmt::format(".\\\" Made by `pollux manual`.\n.TH {} 1 \"\" \"Pollux {}\" \"Pollux\"\n",
                                 upper(troff(name)), version);
  page += fmt::format(".SH NAME\n{} \\- {}\n", troff(name), troff(command.text));
  page += synopsis(command);
  page += ".SH DESCRIPTION\n" + troff(command.text) + ".\n" + notes_of(command);
  if (!command.subcommands.empty()) page += ".SH COMMANDS\n";
  for (const CommandDescription& child : command.subcommands) {
    page += ".TP\n\\fB" + troff(child.path.back()) + "\\fR\n" + troff(child.text) + "\n";
  }
  if (!command.options.empty()) page += ".SH OPTIONS\n";
  for (const OptionDescription& option : command.options) page += option_entry(option);
  page += ".SH EXIT STATUS\n0 after success, 1 after a failure, 2 if the arguments are wrong.\n";
  if (!command.examples.empty()) page += ".SH EXAMPLES\n.nf\n";
  for (const std::string& example : command.examples) page += troff(example) + "\n";
  if (!command.examples.empty()) page += ".fi\n";
  return page + see_also(command);
}

}  // namespace pollux::tool::describe
