// SPDX-License-Identifier: BSD-3-Clause
// `pollux regs`: a card's registers with their fields.
#include <fmt/format.h>
#include <fnmatch.h>
#include "common/cli.hpp"

#include <algorithm>
#include <cctype>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "commands.hpp"
#include "pollux/net/register_dump.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

struct RegsOptions {
  std::string port;
  std::vector<std::string> names;
  bool json = false;
};

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

// A name without an index means all registers of an array. The brackets of an index are none of a pattern.
bool matches(const std::string& wanted, const std::string& name) {
  const std::string pattern = upper(wanted);
  return pattern == name || ::fnmatch(pattern.c_str(), name.substr(0, name.find('[')).c_str(), 0) == 0;
}

Result<std::vector<RegisterValue>> selected(const RegsOptions& options, const std::vector<RegisterValue>& all) {
  if (options.names.empty()) return all;
  std::vector<RegisterValue> some;
  for (const std::string& wanted : options.names) {
    const std::size_t before = some.size();
    std::ranges::copy_if(all, std::back_inserter(some),
                         [&](const RegisterValue& value) { return matches(wanted, value.name); });
    if (some.size() == before) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{} has no register {} that can be read", options.port, wanted),
                  all.empty() ? "without names all are shown"
                              : fmt::format("without names all are shown, such as {}", all.front().name));
    }
  }
  return some;
}

std::uint32_t field_of(const RegisterValue& value, const FieldInfo& field) {
  return (value.value & field.mask()) >> field.lo;
}

void print(const Environment& environment, const std::vector<RegisterValue>& values) {
  std::size_t width = 13;
  for (const RegisterValue& value : values) width = std::max(width, value.name.size());
  for (const RegisterValue& value : values) {
    std::string fields;
    for (const FieldInfo& field : value.fields) {
      if (field_of(value, field) != 0) fields += fmt::format(" {}={:#x}", field.name, field_of(value, field));
    }
    environment.out << fmt::format("{:<{}} {:#07x}  {:#010x} {}\n", value.name, width, value.offset, value.value,
                                   fields);
  }
}

void print_json(const Environment& environment, const RegsOptions& options, const std::vector<RegisterValue>& values) {
  nlohmann::json registers = nlohmann::json::array();
  for (const RegisterValue& value : values) {
    nlohmann::json fields = nlohmann::json::object();
    for (const FieldInfo& field : value.fields) fields[std::string(field.name)] = field_of(value, field);
    registers.push_back({{"name", value.name}, {"offset", value.offset}, {"value", value.value}, {"fields", fields}});
  }
  environment.out << nlohmann::json{{"port", options.port}, {"registers", registers}}.dump(2) << '\n';
}

int run_regs(const Environment& environment, const RegsOptions& options) {
  if (!environment.open_port) return kFailure;
  auto port = environment.open_port(options.port);
  if (!port) return report(environment, port.error());
  const auto dump = port->capability<RegisterDump>();
  if (!dump) return report(environment, port->lacks(RegisterDump::kId));
  const auto values = selected(options, dump->registers());
  if (!values) return report(environment, values.error());
  if (options.json) {
    print_json(environment, options, *values);
  } else {
    print(environment, *values);
  }
  return kSuccess;
}

}  // namespace

void add_regs(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<RegsOptions>();
  cli::App* command =
      app.add_subcommand("regs", "Show the registers of a port's card, with the fields that are not zero");
  command->add_option("port", options->port, "A port, such as vfio:0000:01:00.0 or sim:0")->required();
  command->add_option("names", options->names, "Registers by name, such as RDT[3] or 'RX*'; all without a name");
  command->add_flag("--json", options->json, "Print JSON, with all fields");
  command->footer(
      "pollux regs sim:0 STATUS CTRL_EXT\n"
      "Opening a port resets its card, so the values are those after a reset. Registers that a read would change are\n"
      "left out. The offset comes first, then the value.");
  command->callback([options, &environment, &exit_code] { exit_code = run_regs(environment, *options); });
}

}  // namespace pollux::tool
