// SPDX-License-Identifier: BSD-3-Clause
// Routes IPv4 and IPv6 packets between ports by the longest prefix.
#include <sstream>

#include "command_line.hpp"
#include "l3fwd/router.hpp"
#include "ports.hpp"

using namespace pollux;
using namespace pollux::examples;

namespace {

constexpr std::uint32_t kBurst = 64;
constexpr const char* kUsage =
    "usage: l3fwd PORT... [--route ROUTE]... [--routes FILE] [--look-up ADDRESS,ADDRESS...] [--telemetry]\n"
    "\n"
    "Routes IPv4 and IPv6 packets between ports, such as tap:x0 vfio:0000:01:00.0. A route is a prefix, the index of\n"
    "a port (0 is the first one), and the MAC address of the next hop. A file has one a line; '#' begins a comment.\n"
    "  l3fwd tap:x0 tap:x1 --route '10.1.0.0/16 1 02:00:00:00:00:01' --route '::/0 0 02:00:00:00:00:02'\n"
    "Hosts need the MAC address of the port, which is printed, as a static neighbour: l3fwd answers no ARP.\n"
    "--look-up prints the routes of addresses, without opening a port. Ctrl-C ends the program with a summary.\n";

Result<void> look_up(const Routes& routes, const std::string& addresses) {
  std::istringstream list(addresses);
  for (std::string text; std::getline(list, text, ',');) {
    const auto address = parse_address(text);
    if (!address) return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not an address", text), "use 10.1.2.3");
    const NextHop* const hop = routes.find(*address);
    fmt::print("{}: {}\n", text,
               hop == nullptr ? "no route" : fmt::format("port {} {}", hop->port, to_string(hop->mac)));
  }
  return {};
}

/// What became of all packets. Telemetry asks between two bursts, so this has none in its hands.
TelemetryAccount account_of(Ports& own, std::span<const DropCounter* const> reasons) {
  TelemetryAccount account;
  for (Port& port : own.ports) {
    const Stats stats = port.stats();
    const std::uint64_t in_flight = port.tx(0).in_flight();
    account.received += stats.rx_burst_packets + stats.rx_dropped;
    account.sent += stats.tx_burst_packets - stats.tx_dropped - in_flight;
    account.in_flight += in_flight;
    for (const Counter& drop : stats.drops) account.drops[drop.name] += drop.value;
  }
  for (const DropCounter* reason : reasons) account.drops[reason->name()] += reason->value();
  return account;
}

/// Has the poller route what each port receives. `out` has a burst for each port.
Result<void> add_ports(Poller& poller, Ports& own, Router& router, std::vector<Burst<kBurst>>& out,
                       DropCounter& ring_full) {
  const auto count = static_cast<std::uint16_t>(own.ports.size());
  for (std::uint16_t from = 0; from < count; ++from) {
    const auto queue = poller.add(own.ports[from].rx(0), [&, from](Burst<kBurst>& burst) {
      burst.take_each([&](MbufPtr frame) {
        const auto [to, drop] = router.route(*frame, from);
        if (drop == nullptr) {
          static_cast<void>(out[to].push(frame));  // has room for every frame of a burst
        } else {
          Mbuf* const dropped = frame.get();
          drop->add({&dropped, 1});
          own.cache->free(std::move(frame));
        }
      });
      for (std::size_t to = 0; to < out.size(); ++to) {
        own.ports[to].tx(0).tx_burst(out[to]);
        out[to].drop(ring_full, *own.cache);
      }
    });
    if (!queue) return tl::unexpected(queue.error());
  }
  return {};
}

Result<void> serve(const Routes& routes, const std::vector<std::string>& uris, bool with_telemetry) {
  const auto own = Ports::open(uris, true);
  if (!own) return tl::unexpected(own.error());
  std::vector<MacAddress> macs;
  for (Port& port : (*own)->ports) {
    macs.push_back(port.mac());
    fmt::print(stderr, "port {}: {}, {}\n", macs.size() - 1, port.info().name, to_string(macs.back()));
  }
  Router router(routes, macs);
  DropCounter ring_full("ring_full");
  std::vector<const DropCounter*> reasons{&ring_full};
  reasons.insert(reasons.end(), router.drops().begin(), router.drops().end());
  std::optional<Telemetry> telemetry;
  if (with_telemetry) {
    auto created = Telemetry::create(
        (*own)->context,
        {.account = [&] { return std::optional(account_of(**own, reasons)); }, .drops = [&] { return reasons; }});
    if (!created) return pass_on(std::move(created));
    telemetry = *std::move(created);
  }
  std::vector<Burst<kBurst>> out(uris.size());
  Poller poller((*own)->context);
  if (auto added = add_ports(poller, **own, router, out, ring_full); !added) return added;
  fmt::print(stderr, "{} routes\n", routes.size());
  auto served = run_until_ctrl_c((*own)->context, poller);
  fmt::print("packets: {} forwarded; dropped:", router.forwarded());
  for (const DropCounter* reason : reasons)
    fmt::print("{} {} {}", reason == reasons.front() ? "" : ",", reason->value(), reason->name());
  fmt::print("\n");
  return served;
}

Result<void> l3fwd(Words& words) {
  const std::vector<std::string> lines = words.values("--route");
  const std::string file = words.value("--routes");
  const std::string lookups = words.value("--look-up");
  const bool with_telemetry = words.flag("--telemetry");
  const std::vector<std::string> uris = words.ports(1, 64);
  if (!words.mistake()) return words.mistake();
  Routes routes(static_cast<std::uint16_t>(uris.size()));
  for (const std::string& line : lines) {
    if (auto added = routes.add(line); !added) return added;
  }
  if (!file.empty()) {
    if (auto added = routes.add_file(file); !added) return added;
  }
  if (routes.size() == 0) return fail(ErrorCode::invalid_argument, "there is no route", "use --route or --routes");
  return lookups.empty() ? serve(routes, uris, with_telemetry) : look_up(routes, lookups);
}

}  // namespace

int main(int argc, char** argv) { return run_example(argc, argv, kUsage, l3fwd); }
