// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include "common/cli.hpp"

#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>

#include "commands.hpp"
#include "pci_facts.hpp"
#include "pollux/net/identify_led.hpp"
#include "pollux/net/settings.hpp"
#include "report.hpp"
#include "started_port.hpp"

namespace pollux::tool {
namespace {

struct LedOptions {
  std::string port;
  double seconds = 5;
  bool steady = false;
  bool json = false;
};

// Closing the port makes the light automatic again.
Result<void> show(const Environment& environment, const LedOptions& options, Port& port) {
  const auto set_led = [&](LedMode mode) { return port.change([=](Settings& settings) { settings.led = mode; }); };
  if (auto set = set_led(options.steady ? LedMode::on : LedMode::blink); !set) return set;
  if (!options.json) {
    environment.out << fmt::format("{}: the light {} for {} s\n", options.port, options.steady ? "is on" : "blinks",
                                   options.seconds)
                    << std::flush;
  }
  environment.clock.sleep_for(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.seconds)));
  if (auto reset = set_led(LedMode::automatic); !reset) return reset;
  if (options.json) {
    const nlohmann::json json = {
        {"port", options.port}, {"mode", options.steady ? "on" : "blink"}, {"seconds", options.seconds}};
    environment.out << json.dump(2, ' ', true, kReplaceBadText) << '\n';
  }
  return {};
}

int run_led(const Environment& environment, const LedOptions& options) {
  auto port = open_port(environment, options.port);
  if (!port) return report(environment, port.error());
  const auto shown = show(environment, options, *port);
  if (!shown) return report(environment, shown.error());
  const auto closed = port->close();
  return closed ? kSuccess : report(environment, closed.error());
}

}  // namespace

void add_led(cli::App& app, const Environment& environment, int& exit_code) {
  constexpr double kMaxSeconds = 86400;
  auto options = std::make_shared<LedOptions>();
  cli::App* command = app.add_subcommand("led", "Let a port's light blink, to see which one it is");
  command->add_option("port", options->port, "A port, such as vfio:0000:01:00.0 or sim:0")->required();
  command->add_option("--blink", options->seconds, "For how many seconds (the default is 5)")
      ->check(cli::range(0.0, kMaxSeconds));
  command->add_flag("--steady", options->steady, "Keep the light on instead");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer("Example:\n  pollux led vfio:0000:01:00.0 --blink 30");
  command->callback([options, &environment, &exit_code] { exit_code = run_led(environment, *options); });
}

}  // namespace pollux::tool
