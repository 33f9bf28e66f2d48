// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include "common/cli.hpp"

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "commands.hpp"
#include "pci_facts.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/port_info.hpp"
#include "pollux/net/settings.hpp"
#include "report.hpp"
#include "started_port.hpp"

namespace pollux::tool {
namespace {

struct LinkOptions {
  std::string port;
  std::vector<std::string> advertise;
  std::uint32_t speed = 0;
  std::string duplex = "full";
  bool restart = false;
  bool down = false;
  // What the command does without options.
  bool negotiate = false;
  bool up = false;
  bool json = false;
};

Result<LinkConfig> wanted(const LinkOptions& options) {
  LinkConfig config;
  if (!options.advertise.empty()) config.advertised = {};
  for (const std::string& word : options.advertise) {
    const auto mode = parse_link_mode(word);
    if (!mode) {
      return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a mode of a link", word),
                  "modes are such as 100/full: " + to_string(kAllLinkModes));
    }
    config.advertised.insert(*mode);
  }
  if (options.speed == 0) return config;
  const std::string word = fmt::format("{}/{}", options.speed, options.duplex);
  config.forced = parse_link_mode(word);
  if (config.forced) return config;
  return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a mode of a link", word),
              "speeds are 10 and 100 with duplex half or full");
}

nlohmann::json names(const LinkModes& modes) {
  auto all = nlohmann::json::array();
  for (const LinkMode mode : kLinkModes) {
    if (modes.contains(mode)) all.push_back(to_string(mode));
  }
  return all;
}

template <class T>
nlohmann::json or_null(const std::optional<T>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

void print_json(const Environment& environment, const LinkOptions& options, const Port& port,
                const LinkDetails& details) {
  const Settings settings = port.settings();
  const PortLimits& limits = port.info().limits;
  nlohmann::json json = {{"port", options.port},
                         {"up", details.link.up},
                         {"speed", details.link.speed},
                         {"duplex", details.link.duplex == Duplex::half ? "half" : "full"},
                         {"autonegotiated", details.link.autonegotiated},
                         {"phy_enabled", settings.phy_enabled},
                         {"phy", details.phy},
                         {"phy_id", details.phy_id},
                         {"supported", names(limits.link_modes)},
                         {"advertised", names(advertised_modes(settings, limits))},
                         {"forced", nullptr},
                         {"partner", nullptr},
                         {"mdix", or_null(details.mdix)},
                         {"polarity_reversed", or_null(details.polarity_reversed)},
                         {"cable_metres", nullptr}};
  if (settings.link.forced) json["forced"] = to_string(*settings.link.forced);
  if (details.partner) {
    json["partner"] = {{"negotiates", details.partner->negotiates},
                       {"modes", names(details.partner->modes)},
                       {"pause", details.partner->pause},
                       {"asymmetric_pause", details.partner->asymmetric_pause}};
  }
  if (details.cable) json["cable_metres"] = {{"min", details.cable->min}, {"max", details.cable->max}};
  environment.out << json.dump(2, ' ', true, kReplaceBadText) << '\n';
}

std::string flag_text(const std::optional<bool>& value, const char* yes, const char* no) {
  return !value ? "not known" : *value ? yes : no;
}

std::string partner_text(const LinkDetails& details) {
  if (!details.partner) return "not known";
  if (!details.partner->negotiates) return "does not negotiate";
  const bool pauses = details.partner->pause || details.partner->asymmetric_pause;
  return to_string(details.partner->modes) + (pauses ? ", pause frames" : "");
}

void print(const Environment& environment, const LinkOptions& options, const Port& port, const LinkDetails& details) {
  const Settings settings = port.settings();
  const PortLimits& limits = port.info().limits;
  const auto& forced = settings.link.forced;
  const auto line = [&](const char* label, const std::string& value) {
    environment.out << fmt::format("  {:<18}{}\n", label, value);
  };
  environment.out << "Link of " << options.port << '\n';
  line("link", settings.phy_enabled ? to_string(details.link) : "down: the PHY is stopped");
  line("mode", forced ? "forced: " + to_string(*forced) : "negotiated");
  if (!forced) line("advertised", to_string(advertised_modes(settings, limits)));
  line("supported", to_string(limits.link_modes));
  line("partner", partner_text(details));
  line("PHY", fmt::format("{}, id {:#010x}", details.phy, details.phy_id));
  line("pairs", flag_text(details.mdix, "crossed (MDI-X)", "straight (MDI)"));
  line("polarity", flag_text(details.polarity_reversed, "reversed", "normal"));
  line("cable", details.cable ? fmt::format("{} to {} m", details.cable->min, details.cable->max) : "not known");
}

Result<void> set_up(const LinkOptions& options, const LinkConfig& config, Port& port) {
  if (!port.capability<LinkControl>()) return tl::unexpected<Error>(port.lacks(LinkControl::kId));
  return port.change([&](Settings& settings) {
    settings.link = config;
    settings.phy_enabled = !options.down;
  });
}

// A link that does not come up in time is down, which is no error of the command.
Result<void> show(const Environment& environment, const LinkOptions& options, Port& port) {
  const auto control = port.capability<LinkControl>();
  if (!options.down) static_cast<void>(port.wait_for_link(kLinkLimit));
  if (options.restart) {
    if (auto restarted = control->restart_negotiation(); !restarted) return restarted;
    static_cast<void>(port.wait_for_link(kLinkLimit));
  }
  const auto details = control->link_details();
  if (!details) return tl::unexpected<Error>(details.error());
  if (options.json) {
    print_json(environment, options, port, *details);
  } else {
    print(environment, options, port, *details);
  }
  return {};
}

int run_link(const Environment& environment, const LinkOptions& options) {
  const auto config = wanted(options);
  if (!config) return report(environment, config.error());
  const auto done = with_started_port(
      environment, options.port, [&](Port& port) { return set_up(options, *config, port); },
      [&](Port& port) { return show(environment, options, port); });
  return done ? kSuccess : report(environment, done.error());
}

}  // namespace

void add_link(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<LinkOptions>();
  cli::App* command = app.add_subcommand("link", "Start a port's link, and show its mode, link partner, PHY and cable");
  command->add_option("port", options->port, "A port, such as vfio:0000:01:00.0 or sim:0")->required();
  auto* const advertise =
      command->add_option("--advertise", options->advertise, "Offer only these modes, such as 100/full,1000/full")
          ->delimiter(',');
  auto* const speed =
      command->add_option("--speed", options->speed, "Use this speed, 10 or 100 Mb/s, without negotiation")
          ->check(cli::one_of({"10", "100", "1000"}));
  command->add_option("--duplex", options->duplex, "The duplex mode of --speed: half or full (the default)")
      ->check(cli::one_of({"half", "full"}))
      ->needs(speed);
  auto* const negotiate = command->add_flag("--autoneg", options->negotiate, "Negotiate, as without options");
  auto* const restart = command->add_flag("--restart", options->restart, "Negotiate a second time");
  auto* const up = command->add_flag("--up", options->up, "Start the PHY, as without options");
  auto* const down =
      command->add_flag("--down", options->down, "Stop the PHY. It stays stopped until a program opens the port");
  command->add_flag("--json", options->json, "Print JSON");
  speed->excludes(advertise)->excludes(negotiate)->excludes(restart);
  down->excludes(up)->excludes(restart);
  command->footer(
      "Examples:\n"
      "  pollux link vfio:0000:01:00.0 --advertise 100/full,1000/full\n"
      "  pollux link vfio:0000:01:00.0 --speed 100 --duplex half");
  command->callback([options, &environment, &exit_code] { exit_code = run_link(environment, *options); });
}

}  // namespace pollux::tool
