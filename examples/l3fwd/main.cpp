// SPDX-License-Identifier: BSD-3-Clause
// Routes IPv4 and IPv6 packets between ports by the longest prefix.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include "common/cli.hpp"

#include <optional>
#include <string>
#include <vector>

#include "common/account.hpp"
#include "common/command_line.hpp"
#include "common/log.hpp"
#include "common/output.hpp"
#include "common/poll_loop.hpp"
#include "l3fwd/router.hpp"

namespace {

using namespace pollux;
using namespace pollux::examples;

constexpr std::uint32_t kBurst = 64;

struct L3fwdOptions {
  std::vector<std::string> uris;
  std::vector<std::string> routes;
  std::string file;
  std::vector<std::string> lookups;
  PortOptions ports;
  std::optional<double> seconds;
};

std::optional<int> read_options(int argc, char** argv, L3fwdOptions& options) {
  cli::App app("Routes IPv4 and IPv6 packets between ports", "l3fwd");
  app.footer(
      "A route is a prefix, the index of a port (0 is the first one), and the MAC address of the next hop:\n"
      "  l3fwd tap:x0 tap:x1 --route '10.1.0.0/16 1 02:00:00:00:00:01' --route '::/0 0 02:00:00:00:00:02'\n"
      "Hosts need the MAC address of the port, which is printed, as a static neighbour: l3fwd answers no ARP.\n"
      "Ctrl-C ends the program with a summary.");
  app.add_option("PORT", options.uris, "Ports, such as tap:x0 vfio:0000:01:00.0")->required()->expected(1, 64);
  app.add_option("--route", options.routes, "A route; may be repeated")->take_all()->expected(1);
  app.add_option("--routes", options.file, "A file of routes, one a line; '#' begins a comment");
  app.add_option(
         "--look-up", options.lookups,
         "Print the routes of these addresses, separated by commas, and end; the ports are counted, but not opened")
      ->delimiter(',');
  add_seconds_option(app, options.seconds);
  add_telemetry_option(app, options.ports);
  return parse(app, argc, argv);
}

Result<Routes> read_routes(const L3fwdOptions& options) {
  Routes routes(static_cast<std::uint16_t>(options.uris.size()));
  for (const std::string& route : options.routes) {
    if (auto added = routes.add(route); !added) return pass_on(std::move(added));
  }
  if (!options.file.empty()) {
    if (auto added = routes.add_file(options.file); !added) return pass_on(std::move(added));
  }
  if (routes.size() == 0) return fail(ErrorCode::invalid_argument, "there is no route", "use --route or --routes");
  return routes;
}

Result<void> look_up(const Routes& routes, const std::vector<std::string>& addresses, Output& output) {
  for (const std::string& text : addresses) {
    const auto address = parse_address(text);
    if (!address) return fail(ErrorCode::invalid_argument, fmt::format("'{}' is no address", text), "use 10.1.2.3");
    const NextHop* const hop = routes.find(*address);
    output.line(hop == nullptr ? fmt::format("{}: no route", text)
                               : fmt::format("{}: port {} {}", text, hop->port, to_string(hop->mac)));
  }
  return {};
}

Result<void> serve(ProgramSetup& setup, Router& router, DropCounter& ring_full, std::optional<double> seconds,
                   const StopSignals& stop) {
  Poller poller(setup.context());
  std::vector<Port>& ports = setup.ports();
  const auto port_count = static_cast<std::uint16_t>(ports.size());
  std::vector<Burst<kBurst>> out(ports.size());
  for (std::uint16_t from = 0; from < port_count; ++from) {
    const auto queue = poller.add(ports[from].rx(0), [&, from](Burst<kBurst>& burst) {
      burst.take_each([&](MbufPtr frame) {
        const auto [to, drop] = router.route(*frame, from);
        if (drop == nullptr) {
          static_cast<void>(out[to].push(frame));
        } else {
          Mbuf* const dropped = frame.get();
          drop->add({&dropped, 1});
          setup.cache().free(std::move(frame));
        }
      });
      for (std::size_t to = 0; to < ports.size(); ++to) {
        ports[to].tx(0).tx_burst(out[to]);
        out[to].drop(ring_full, setup.cache());
      }
    });
    if (!queue) return tl::unexpected(queue.error());
  }
  return run_poller(setup, poller, stop, seconds);
}

int run(const L3fwdOptions& options, const std::shared_ptr<spdlog::logger>& log, Output& output) {
  const auto routes = read_routes(options);
  if (!routes) return report_failure(*log, routes.error());
  if (!options.lookups.empty()) {
    const auto found = look_up(*routes, options.lookups, output);
    return found ? 0 : report_failure(*log, found.error());
  }
  auto setup = ProgramSetup::open(options.uris, options.ports, to_log(log));
  if (!setup) return report_failure(*log, setup.error());
  const StopSignals stop;
  std::vector<MacAddress> macs;
  for (Port& port : (*setup)->ports()) {
    macs.push_back(port.mac());
    log->info("port {}: {}, {}", macs.size() - 1, port.info().name, to_string(macs.back()));
  }
  Router router(*routes, macs);
  DropCounter ring_full("ring_full");
  log->info("{} routes", routes->size());
  std::vector<const DropCounter*> reasons{&ring_full};
  reasons.insert(reasons.end(), router.drops().begin(), router.drops().end());
  (*setup)->set_drops([&] { return reasons; });
  (*setup)->set_account(
      [&] { return std::optional(telemetry_account(take_account((*setup)->ports(), (*setup)->pool(), reasons))); });
  const auto served = serve(**setup, router, ring_full, options.seconds, stop);
  (*setup)->set_account({});
  (*setup)->set_drops({});
  std::vector<std::string> drops;
  for (const DropCounter* reason : reasons) drops.push_back(fmt::format("{} {}", reason->value(), reason->name()));
  output.line(fmt::format("packets: {} forwarded; dropped: {}", router.forwarded(), fmt::join(drops, ", ")));
  return served ? 0 : report_failure(*log, served.error());
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("l3fwd", [&](const std::shared_ptr<spdlog::logger>& log, Output& output) {
    L3fwdOptions options;
    if (const auto status = read_options(argc, argv, options)) return *status;
    return run(options, log, output);
  });
}
