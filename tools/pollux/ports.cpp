// SPDX-License-Identifier: BSD-3-Clause
// `pollux ports`: the ports of running programs.
#include <fmt/format.h>
#include "common/cli.hpp"

#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "commands.hpp"
#include "report.hpp"
#include "telemetry_client.hpp"

namespace pollux::tool {
namespace {

void print_ports(const Environment& environment, const std::vector<RunningPort>& ports) {
  constexpr const char* kRow = "{:<8}{:<10}{:<16}{:<10}{:<12}{}\n";
  environment.out << fmt::format(kRow, "PORT", "PID", "PROGRAM", "DRIVER", "STATE", "URI");
  for (const RunningPort& port : ports) {
    environment.out << fmt::format(kRow, or_dash(port.name), port.pid, or_dash(port.program), or_dash(port.driver),
                                   or_dash(port.state), port.uri);
  }
}

void print_ports_json(const Environment& environment, const std::vector<RunningPort>& ports) {
  auto all = nlohmann::ordered_json::array();
  for (const RunningPort& port : ports) {
    all.push_back({{"name", port.name},
                   {"pid", port.pid},
                   {"program", port.program},
                   {"driver", port.driver},
                   {"state", port.state},
                   {"uri", port.uri},
                   {"socket", port.socket}});
  }
  environment.out << all.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
}

}  // namespace

void add_ports(cli::App& app, const Environment& environment, int& exit_code) {
  auto json = std::make_shared<bool>(false);
  cli::App* command = app.add_subcommand("ports", "List the ports of running programs that have telemetry");
  command->add_flag("--json", *json, "Print JSON");
  command->footer(
      "A program has telemetry with --telemetry (l2fwd, pktgen and the other examples), or with a pollux::Telemetry.\n"
      "Root also sees the programs of other users. Programs that do not answer are named on stderr.\n"
      "Examples:\n"
      "  pollux ports\n"
      "  pollux ports --json");
  command->callback([json, &environment, &exit_code] {
    const RunningPorts running = running_ports(telemetry_directories());
    *json ? print_ports_json(environment, running.ports) : print_ports(environment, running.ports);
    for (const Error& failure : running.failures) report(environment, failure);
    exit_code = kSuccess;
  });
}

}  // namespace pollux::tool
