// SPDX-License-Identifier: BSD-3-Clause
#include "common/command_line.hpp"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "common/number_text.hpp"
#include "common/standard_streams.hpp"

namespace pollux::tools {
namespace {

/// The largest ring of any type of port. PortLimits has the limits of one port.
constexpr std::uint32_t kMaxRing = 4096;

std::map<std::string, BurstMode> burst_modes() {
  std::map<std::string, BurstMode> modes;
  for (const BurstMode mode :
       {BurstMode::best, BurstMode::scalar, BurstMode::avx2, BurstMode::avx512, BurstMode::neon}) {
    modes.emplace(name(mode), mode);
  }
  return modes;
}

/// Processors as taskset(1) has them: 0,4-7.
std::vector<unsigned> parse_cores(const std::string& text) {
  constexpr unsigned kMostCores = 65'536;
  std::vector<unsigned> cores;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const std::size_t dash = std::min(part.find('-'), part.size());
    const auto first = parse_number(part.substr(0, dash), 0U, kMostCores - 1);
    const auto last = dash == part.size() ? first : parse_number(part.substr(dash + 1), 0U, kMostCores - 1);
    if (!first || !last || *last < *first)
      throw cli::UsageError("--cores", fmt::format("'{}' is not a list of processors, such as 0,4-7", text));
    for (unsigned core = *first; core <= *last; ++core) cores.push_back(core);
    begin = end + 1;
  }
  return cores;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

}  // namespace

void add_queue_options(cli::App& app, PortOptions& options) {
  app.add_option("--queues", options.queues,
                 "Queues in each direction of each port; a card spreads flows over them by RSS")
      ->check(cli::range(1, 16))
      ->capture_default_str();
  app.add_option_function<std::string>(
         "--cores", [&options](const std::string& text) { options.cores = parse_cores(text); },
         "Processors, such as 2,3 or 4-7: a thread on each, which polls its share of the queues; without it one thread "
         "polls all of them and may run anywhere")
      ->type_name("LIST");
}

void check_queue_options(const PortOptions& options) {
  if (options.cores.size() <= options.queues) return;
  throw cli::UsageError("--cores", fmt::format("{} cores are too many for --queues {}: each needs a queue",
                                               options.cores.size(), options.queues));
}

void add_port_options(cli::App& app, PortOptions& options) {
  app.add_option("--burst", options.burst, "Maximum number of frames per poll")
      ->check(cli::range(1U, kMaxBurst))
      ->capture_default_str();
  app.add_option("--rx-ring", options.rx_ring, "Receive descriptors; default: 512, or the nearest size of the port")
      ->check(cli::range(8U, kMaxRing));
  app.add_option("--tx-ring", options.tx_ring, "Transmit descriptors; default: 512, or the nearest size of the port")
      ->check(cli::range(8U, kMaxRing));
  app.add_option("--mbufs", options.mbufs, "Packet buffers in the pool")
      ->check(cli::range(64U, 4U << 20U))
      ->capture_default_str();
  app.add_option("--mtu", options.mtu, "Maximum payload of a frame in bytes")
      ->check(cli::range(68U, 65535U))
      ->capture_default_str();
  const std::map<std::string, BurstMode> modes = burst_modes();
  std::vector<std::string> names;
  for (const auto& mode : modes) names.push_back(mode.first);
  app.add_option_function<std::string>(
         "--burst-mode", [&options, modes](const std::string& text) { options.burst_mode = modes.at(lower(text)); },
         "Instruction set of the burst functions; 'best' selects the fastest one")
      ->check(cli::one_of_ignoring_case(names));
  app.add_option("--wait-link", options.wait_link, "Seconds to wait for the links to come up")
      ->check(cli::range(0.0, 3600.0))
      ->capture_default_str();
  add_telemetry_option(app, options);
}

void add_telemetry_option(cli::App& app, PortOptions& options) {
  app.add_flag("--telemetry", options.telemetry,
               "Let `pollux ports`, `stats` and other clients look at the ports and change their settings");
}

void add_seconds_option(cli::App& app, std::optional<double>& seconds) {
  app.add_option("--seconds", seconds, "End after this many seconds")->check(cli::range(0.001, 1e9));
}

void add_run_options(cli::App& app, RunOptions& options) {
  add_seconds_option(app, options.seconds);
  app.add_flag("--json", options.json, "Print a JSON object every second, and a last one with the summary");
  app.add_flag("--quiet", options.quiet, "Print the summary only");
}

cli::Option* add_mac_option(cli::App& app, const char* name, std::optional<MacAddress>& mac, const char* description) {
  const auto take = [&mac](const std::string& text) {
    mac = parse_mac(text);
    return mac.has_value();
  };
  return app
      .add_option_function<std::string>(
          name,
          [take, name](const std::string& text) {
            if (!take(text)) {
              throw cli::UsageError(name, "'" + text + "' is not six bytes like 02:00:00:00:00:01");
            }
          },
          description)
      ->type_name("MAC");
}

std::optional<int> parse(cli::App& app, int argc, char** argv) {
  // A stream with a buffer would forget why it could not be written to.
  std::ostringstream text;
  const std::optional<int> status = app.parse(argc, argv, text, std::cerr);
  if (const int error = write_all(text.str()); error != 0) {
    std::cerr << app.name() << ": error: " << cannot_write(error) << '\n';
    return 1;
  }
  return status;
}

}  // namespace pollux::tools
