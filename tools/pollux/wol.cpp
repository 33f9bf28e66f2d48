// SPDX-License-Identifier: BSD-3-Clause
// `pollux wol`: shows wake-on-LAN, and arms a card.
#include <fmt/format.h>
#include "common/cli.hpp"

#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string_view>

#include "commands.hpp"
#include "pollux/net/settings.hpp"
#include "pollux/net/wake_on_lan.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

struct WolOptions {
  std::string port;
  std::vector<std::string> set;
  bool json = false;
};

struct NamedEvent {
  std::string_view name;
  bool WakeEvents::*event;
};
constexpr std::array<NamedEvent, 5> kEvents{{{"magic", &WakeEvents::magic},
                                             {"unicast", &WakeEvents::unicast},
                                             {"multicast", &WakeEvents::multicast},
                                             {"broadcast", &WakeEvents::broadcast},
                                             {"link", &WakeEvents::link_change}}};

std::vector<std::string> names(const WakeEvents& events) {
  std::vector<std::string> list;
  for (const auto& [name, event] : kEvents) {
    if (events.*event) list.emplace_back(name);
  }
  return list;
}

Result<WakeEvents> parse_events(const std::vector<std::string>& words) {
  WakeEvents events;
  if (words == std::vector<std::string>{"off"}) return events;
  for (const std::string& word : words) {
    bool known = false;
    for (const auto& [name, event] : kEvents) {
      if (word != name) continue;
      events.*event = true;
      known = true;
    }
    if (!known) {
      return fail(ErrorCode::invalid_argument, fmt::format("--set {}: no such event", word),
                  "name some of magic, unicast, multicast, broadcast, link, separated by commas; or off");
    }
  }
  return events;
}

void print(const Environment& environment, const WolOptions& options, const WakeEvents& supported,
           const WakeEvents& set) {
  if (options.json) {
    const nlohmann::json json{{"port", options.port}, {"supported", names(supported)}, {"set", names(set)}};
    environment.out << json.dump(2) << '\n';
    return;
  }
  const auto line = [&](const char* label, const WakeEvents& events) {
    environment.out << fmt::format("  {:<18}{}\n", label,
                                   events.any() ? fmt::format("{}", fmt::join(names(events), ", ")) : "none");
  };
  environment.out << "Wake-on-LAN of " << options.port << '\n';
  line("supported", supported);
  line("set", set);
}

int run_wol(const Environment& environment, const WolOptions& options) {
  const auto wanted = parse_events(options.set);
  if (!wanted) return report(environment, wanted.error());
  if (!environment.open_port) return kFailure;
  auto port = environment.open_port(options.port);
  if (!port) return report(environment, port.error());
  const auto wake = port->capability<WakeOnLan>();
  if (!wake) return report(environment, port->lacks(WakeOnLan::kId));
  if (!options.set.empty()) {
    auto set = port->change([&](Settings& settings) { settings.wake = *wanted; });
    if (!set) return report(environment, set.error());
  }
  const auto supported = wake->wake_support();
  if (!supported) return report(environment, supported.error());
  const WakeEvents set = port->settings().wake;
  if (auto closed = port->close(); !closed) return report(environment, closed.error());  // arms the card
  print(environment, options, *supported, set);
  return kSuccess;
}

}  // namespace

void add_wol(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<WolOptions>();
  cli::App* command = app.add_subcommand("wol", "Show the events that can wake the machine, and arm a port's card");
  command->add_option("port", options->port, "A port, such as vfio:0000:01:00.0 or sim:0")->required();
  command->add_option("--set", options->set, "Arm for magic, unicast, multicast, broadcast, link (with commas), or off")
      ->delimiter(',');
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "pollux wol 0000:01:00.0 --set magic\n"
      "Opening a port turns wake-on-LAN off; with --set it is armed when the command ends. A reset by the platform,\n"
      "such as that of vfio-pci when the port is closed, may end it.");
  command->callback([options, &environment, &exit_code] { exit_code = run_wol(environment, *options); });
}

}  // namespace pollux::tool
