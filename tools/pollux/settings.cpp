// SPDX-License-Identifier: BSD-3-Clause
// `pollux settings`, `pollux show` and `pollux set`: which settings ports have, and those of a port of a running
// program.
#include <fmt/format.h>
#include "common/cli.hpp"

#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "net/json/settings_json.hpp"
#include "report.hpp"
#include "telemetry_client.hpp"

namespace pollux::tool {
namespace {

struct SettingsOptions {
  std::string port;
  std::vector<std::string> words;
  bool json = false;
  bool all_users = false;
};

/// The program of a port.
struct Connection {
  TelemetryClient client;
  std::string port;  ///< its name

  [[nodiscard]] Result<TelemetryJson> call(std::string_view method, TelemetryJson params) {
    params["port"] = port;
    return client.call(method, std::move(params));
  }
};

Result<Connection> connect(const SettingsOptions& options) {
  auto port =
      select_port(running_ports(telemetry_directories(options.all_users ? Users::all : Users::own)), options.port);
  if (!port) return pass_on(std::move(port));
  auto client = TelemetryClient::connect(port->socket);
  if (!client) return pass_on(std::move(client));
  return Connection{*std::move(client), port->name};
}

/// A line for each setting, as `pollux set` takes it. A flow rule is one value.
void print(const Environment& environment, const std::string& name, const TelemetryJson& value) {
  const bool is_rule = name.starts_with("rules.");
  const bool is_list = value.is_array() && !value.empty() && value.front().is_object();
  if (!is_rule && ((value.is_object() && !value.empty()) || is_list)) {
    for (const auto& [key, one] : value.items())
      print(environment, name.empty() ? key : fmt::format("{}.{}", name, key), one);
    return;
  }
  const std::string text = value.is_boolean()  ? (value == true ? "on" : "off")
                           : value.is_null()   ? "none"
                           : value.is_string() ? printable(value.get_ref<const std::string&>())
                                               : value.dump(-1, ' ', true, TelemetryJson::error_handler_t::replace);
  environment.out << fmt::format("{}={}\n", printable(name), text);
}

int run_show(const Environment& environment, const SettingsOptions& options) {
  auto connection = connect(options);
  if (!connection) return report(environment, connection.error());
  const auto answer = connection->call("port.settings", TelemetryJson::object());
  if (!answer) return report(environment, answer.error());
  const TelemetryJson& settings = member(*answer, "settings");
  if (options.json) {
    environment.out << json_text(settings) << '\n';
  } else {
    print(environment, "", settings);
  }
  return kSuccess;
}

int run_set(const Environment& environment, const SettingsOptions& options) {
  const auto patch = json::patch_of(options.words);
  if (!patch) return report(environment, patch.error());
  auto connection = connect(options);
  if (!connection) return report(environment, connection.error());
  const auto changed = connection->call("port.change", {{"settings", *patch}});
  return changed ? kSuccess : report(environment, changed.error());
}

int run_settings(const Environment& environment, bool as_json) {
  const std::vector<json::ListedField> settings = json::list_settings();
  if (as_json) {
    TelemetryJson list = TelemetryJson::array();
    for (const auto& [name, value, about] : settings)
      list.push_back({{"name", name}, {"value", value}, {"about", about}});
    environment.out << json_text(list) << '\n';
  } else {
    for (const auto& [name, value, about] : settings)
      environment.out << fmt::format("{}={}\n    {}\n", name, value, about);
  }
  return kSuccess;
}

void add_port(cli::App& command, SettingsOptions& options) {
  command.add_option("port", options.port, "A port as `pollux ports` lists it: its name, its URI, or the process id")
      ->required();
  command.add_flag("--all-users", options.all_users, "As root: also ask the programs of other users");
}

}  // namespace

void add_settings(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<SettingsOptions>();
  cli::App* list = app.add_subcommand("settings", "List what can be set of a port: names, values and units");
  list->add_flag("--json", options->json, "Print JSON");
  list->footer(
      "pollux settings\nEach as `pollux set` takes it. N stands for an index or a key; true and false are on and off.\n"
      "A port refuses what it does not have.");
  list->callback([options, &environment, &exit_code] { exit_code = run_settings(environment, options->json); });

  cli::App* show = app.add_subcommand("show", "Show the settings of a port of a running program");
  add_port(*show, *options);
  show->add_flag("--json", options->json, "Print JSON");
  show->footer("pollux show plx0\nEach line is as `pollux set` takes it.");
  show->callback([options, &environment, &exit_code] { exit_code = run_show(environment, *options); });

  cli::App* set = app.add_subcommand("set", "Change settings of a port of a running program");
  add_port(*set, *options);
  set->add_option("changes", options->words, "SETTING=VALUE, all of them or none; `none` stands for the default")
      ->required();
  set->footer(
      "pollux set plx0 mtu=9000 vlan_stripping=on rx.0.ring=1024 vlans.7=on\n"
      "Needs a program whose telemetry may change settings. `pollux settings` lists them.");
  set->callback([options, &environment, &exit_code] { exit_code = run_set(environment, *options); });
}

}  // namespace pollux::tool
