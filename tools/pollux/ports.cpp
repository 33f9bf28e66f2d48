// SPDX-License-Identifier: BSD-3-Clause
// `pollux ports`: the ports of running programs.
#include <fmt/format.h>
#include <unistd.h>
#include "common/cli.hpp"

#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>

#include "commands.hpp"
#include "report.hpp"
#include "telemetry_client.hpp"

namespace pollux::tool {
namespace {

/// Users are named if there are programs of others, which may have ports of the same name.
void print_ports(const Environment& environment, const std::vector<RunningPort>& ports) {
  const std::string own = user_name(::geteuid());
  const bool named =
      std::ranges::any_of(ports, [&](const RunningPort& port) { return port.user != own && port.user != "root"; });
  const auto row = [&](std::string_view name, const std::string& pid, const std::string& user, const auto&... rest) {
    environment.out << fmt::format("{:<8}{:<10}", name, pid) << (named ? fmt::format("{:<12}", user) : "")
                    << fmt::format("{:<16}{:<12}{:<12}{}\n", rest...);
  };
  row("PORT", "PID", "USER", "PROGRAM", "DRIVER", "STATE", "URI");
  for (const RunningPort& port : ports) {
    row(or_dash(port.name), fmt::format("{}", port.pid), port.user, or_dash(port.program), or_dash(port.driver),
        or_dash(port.state), port.uri);
  }
}

void print_ports_json(const Environment& environment, const std::vector<RunningPort>& ports) {
  auto all = TelemetryJson::array();
  for (const RunningPort& port : ports) {
    all.push_back({{"name", port.name},
                   {"pid", port.pid},
                   {"user", port.user},
                   {"program", port.program},
                   {"driver", port.driver},
                   {"state", port.state},
                   {"uri", port.uri},
                   {"socket", port.socket}});
  }
  environment.out << json_text(all) << '\n';
}

struct PortsOptions {
  bool json = false;
  bool all_users = false;
};

}  // namespace

void add_ports(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<PortsOptions>();
  cli::App* command = app.add_subcommand("ports", "List the ports of running programs that have telemetry");
  command->add_flag("--json", options->json, "Print JSON");
  command->add_flag("--all-users", options->all_users, "As root: also ask the programs of other users");
  command->footer(
      "A program has telemetry with --telemetry (l2fwd, l3fwd and pktgen), or with a pollux::Telemetry.\n"
      "Programs that do not answer are named on stderr.\n"
      "Examples:\n"
      "  pollux ports\n"
      "  pollux ports --json");
  command->callback([options, &environment, &exit_code] {
    const RunningPorts running = running_ports(telemetry_directories(options->all_users ? Users::all : Users::own));
    options->json ? print_ports_json(environment, running.ports) : print_ports(environment, running.ports);
    for (const Error& failure : running.failures) report(environment, failure);
    exit_code = kSuccess;
  });
}

}  // namespace pollux::tool
