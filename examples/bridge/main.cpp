// SPDX-License-Identifier: BSD-3-Clause
// A learning bridge between any ports: a Poller, a FlowTable and clones in use.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include "common/cli.hpp"

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "bridge/learning_bridge.hpp"
#include "common/command_line.hpp"
#include "common/log.hpp"
#include "common/output.hpp"
#include "common/poll_loop.hpp"

namespace {

using namespace pollux;
using namespace pollux::examples;

struct BridgeOptions {
  std::vector<std::string> uris;
  std::uint32_t addresses = 4096;
  double age = 300;
  PortOptions ports;
  std::optional<double> seconds;
};

std::optional<int> read_options(int argc, char** argv, BridgeOptions& options) {
  cli::App app("Forwards frames between ports, and learns behind which port an address is", "bridge");
  app.footer("The ports must not form a loop: there is no spanning tree. Ctrl-C ends the program with a summary.");
  app.add_option("PORT", options.uris, "Two ports or more, such as tap:x0 vfio:0000:01:00.0")
      ->required()
      ->expected(2, 64);
  app.add_option("--addresses", options.addresses, "Addresses that are known at the same time")
      ->check(cli::range(8U, FlowTable<std::uint16_t>::kMaxFlows))
      ->capture_default_str();
  app.add_option("--age", options.age, "Seconds for which an address that sends nothing is known")
      ->check(number(0.001, 1e6))
      ->capture_default_str();
  add_seconds_option(app, options.seconds);
  add_telemetry_option(app, options.ports);
  return parse(app, argc, argv);
}

Result<void> serve(ProgramSetup& setup, LearningBridge& bridge, DropCounter& ring_full, std::optional<double> seconds,
                   const StopSignals& stop) {
  Poller poller(setup.context());
  std::vector<Port>& ports = setup.ports();
  const auto port_count = static_cast<std::uint16_t>(ports.size());
  for (std::uint16_t from = 0; from < port_count; ++from) {
    const auto queue = poller.add(ports[from].rx(0), [&, from](Burst<LearningBridge::kBurst>& burst) {
      bridge.forward(from, burst, setup.clock().now(), setup.cache());
      for (std::uint16_t to = 0; to < port_count; ++to) {
        ports[to].tx(0).tx_burst(bridge.out(to));
        bridge.out(to).drop(ring_full, setup.cache());
      }
    });
    if (!queue) return tl::unexpected(queue.error());
    ports[from].on_event([&bridge, from](const PortEvent& event) {
      if (event.kind == PortEventKind::link_down) bridge.forget(from);
    });
  }
  return run_poller(setup, poller, stop, seconds);
}

int run(const BridgeOptions& options, const std::shared_ptr<spdlog::logger>& log, Output& output) {
  auto bridge = LearningBridge::create({.ports = static_cast<std::uint16_t>(options.uris.size()),
                                        .addresses = options.addresses,
                                        .max_age = from_seconds(options.age),
                                        .seed = std::random_device()()});
  if (!bridge) return report_failure(*log, bridge.error());
  auto setup = ProgramSetup::open(options.uris, options.ports, to_log(log));
  if (!setup) return report_failure(*log, setup.error());
  const StopSignals stop;
  DropCounter ring_full("ring_full");
  log->info("bridging {} ports", options.uris.size());
  std::vector<const DropCounter*> reasons{&ring_full};
  reasons.insert(reasons.end(), (*bridge)->drops().begin(), (*bridge)->drops().end());
  (*setup)->set_drops([&] { return reasons; });
  const auto served = serve(**setup, **bridge, ring_full, options.seconds, stop);
  (*setup)->set_drops({});
  const auto [forwarded, flooded, moved, forgotten] = (*bridge)->counts();
  const FlowTableStats& table = (*bridge)->addresses().stats();
  std::vector<std::string> drops;
  for (const DropCounter* reason : reasons) drops.push_back(fmt::format("{} {}", reason->value(), reason->name()));
  output.line(fmt::format("frames: {} forwarded, {} flooded; dropped: {}", forwarded, flooded, fmt::join(drops, ", ")));
  output.line(fmt::format("addresses: {} learned, {} moved, {} aged, {} evicted, {} forgotten since a link went down",
                          table.stored, moved, table.aged, table.evicted, forgotten));
  return served ? 0 : report_failure(*log, served.error());
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("bridge", [&](const std::shared_ptr<spdlog::logger>& log, Output& output) {
    BridgeOptions options;
    if (const auto status = read_options(argc, argv, options)) return *status;
    return run(options, log, output);
  });
}
