// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include "common/cli.hpp"

#include <charconv>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "commands.hpp"
#include "pollux/net/port_clock.hpp"
#include "pollux/net/port_info.hpp"
#include "pollux/net/settings.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

struct TimeOptions {
  std::string port;
  std::string set;  // "now", nanoseconds, or empty
  std::optional<std::int64_t> adjust;
  std::optional<double> frequency;
  bool json = false;
};

/// The clock of the machine, for `--set now`. Nanoseconds since 1 January 1970 UTC.
Time machine_time() { return std::chrono::system_clock::now().time_since_epoch(); }

/// Empty if `text` is neither "now" nor nanoseconds.
std::optional<Time> wanted_time(const std::string& text) {
  if (text == "now") return machine_time();
  std::int64_t nanoseconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), nanoseconds);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return Time(nanoseconds);
}

Result<void> change(Port& port, const Capability<PortClock>& clock, const TimeOptions& options) {
  auto runs = port.change([&](Settings& settings) {
    settings.clock_frequency = options.frequency.value_or(settings.clock_frequency.value_or(0));
  });
  if (!runs) return runs;
  if (!options.set.empty()) {
    if (auto changed = clock->set_time(*wanted_time(options.set)); !changed) return changed;
  }
  return options.adjust ? clock->adjust_time(Duration(*options.adjust)) : Result<void>{};
}

void print(const Environment& environment, const TimeOptions& options, const Port& port, Time time) {
  const double frequency = port.settings().clock_frequency.value_or(0);
  const PortClockLimits& limits = port.info().limits.clock;
  if (options.json) {
    const nlohmann::json json = {{"port", options.port},
                                 {"time_ns", time.count()},
                                 {"frequency_ppb", frequency},
                                 {"max_frequency_ppb", limits.max_frequency},
                                 {"frequency_step_ppb", limits.frequency_step},
                                 {"tick_ns", limits.tick.count()}};
    environment.out << json.dump(2) << '\n';
    return;
  }
  environment.out << fmt::format("time       {}.{:09} s\n", time / std::chrono::seconds(1),
                                 (time % std::chrono::seconds(1)).count());
  environment.out << fmt::format("frequency  {:+.1f} ppb, in steps of {:.1f} up to {:.0f} ppb\n", frequency,
                                 limits.frequency_step, limits.max_frequency);
  environment.out << fmt::format("tick       {} ns\n", limits.tick.count());
}

int run_time(const Environment& environment, const TimeOptions& options) {
  if (!options.set.empty() && !wanted_time(options.set)) {
    return report(environment, Error{ErrorCode::invalid_argument, fmt::format("'{}' is not a time", options.set),
                                     "use --set now, or nanoseconds"});
  }
  auto port = environment.open_port(options.port);
  if (!port) return report(environment, port.error());
  const auto clock = port->capability<PortClock>();
  if (!clock) return report(environment, port->lacks(PortClock::kId));
  if (auto changed = change(*port, clock, options); !changed) return report(environment, changed.error());
  const auto time = clock->time();
  if (!time) return report(environment, time.error());
  print(environment, options, *port, *time);
  return kSuccess;
}

}  // namespace

void add_time(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<TimeOptions>();
  cli::App* command = app.add_subcommand("time", "Show a card's clock (IEEE 1588), and set it");
  command->add_option("port", options->port, "A port, such as vfio:0000:01:00.0")->required();
  command->add_option("--set", options->set, "The time: nanoseconds, or `now` for the machine's");
  command->add_option("--adjust", options->adjust, "Nanoseconds to add to the clock");
  command->add_option("--frequency", options->frequency, "Parts per billion by which the clock is too slow");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "The clock runs while a program has the port open: what is set here ends with this command.\n\n"
      "Examples:\n"
      "  pollux time vfio:0000:01:00.0\n"
      "  pollux time sim:0 --set now --frequency 1500 --json");
  command->callback([options, &environment, &exit_code] { exit_code = run_time(environment, *options); });
}

}  // namespace pollux::tool
