// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <fmt/ranges.h>
#include "common/cli.hpp"

#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "commands.hpp"
#include "common/mac_text.hpp"
#include "pollux/net/port_info.hpp"
#include "pollux/net/settings.hpp"
#include "report.hpp"
#include "started_port.hpp"

namespace pollux::tool {
namespace {

struct AddrOptions {
  std::string port;
  std::string mac;
  std::vector<std::string> unicast;
  std::vector<std::string> multicast;
  std::vector<std::uint16_t> vlans;
  bool promiscuous = false;
  bool all_multicast = false;
  bool json = false;
};

Result<std::vector<MacAddress>> parse_all(const std::vector<std::string>& texts) {
  std::vector<MacAddress> all;
  for (const std::string& text : texts) {
    const auto mac = tools::parse_mac(text);
    if (!mac) {
      return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a MAC address", text),
                  "write six bytes, such as 02:00:00:00:00:01");
    }
    all.push_back(*mac);
  }
  return all;
}

struct Wanted {
  std::vector<MacAddress> own, unicast, groups;
};

Result<Wanted> wanted(const AddrOptions& options) {
  auto own = parse_all(options.mac.empty() ? std::vector<std::string>{} : std::vector{options.mac});
  auto unicast = parse_all(options.unicast);
  auto groups = parse_all(options.multicast);
  for (const auto* parsed : {&own, &unicast, &groups}) {
    if (!*parsed) return tl::unexpected<Error>(parsed->error());
  }
  return Wanted{*std::move(own), *std::move(unicast), *std::move(groups)};
}

// VLANs before the start: a virtio device begins to filter with it.
Result<void> change_vlans(Port& port, const AddrOptions& options) {
  if (options.vlans.empty()) return {};
  return port.change([&](Settings& settings) {
    settings.vlans.emplace();
    for (const std::uint16_t vlan : options.vlans) settings.vlans->set(vlan);
  });
}

Result<void> change(Port& port, const AddrOptions& options, const Wanted& addresses) {
  return port.change([&](Settings& settings) {
    if (!addresses.own.empty()) settings.mac = addresses.own.front();
    settings.unicast = addresses.unicast;
    settings.multicast = addresses.groups;
    settings.promiscuous |= options.promiscuous;
    settings.all_multicast |= options.all_multicast;
  });
}

void print(const Environment& environment, Port& port, const AddrOptions& options) {
  const Settings settings = port.settings();
  std::vector<std::string> unicast;
  for (const MacAddress& mac : settings.unicast) unicast.push_back(to_string(mac));
  const std::size_t most = port.info().limits.max_unicast;
  if (options.json) {
    const nlohmann::json json = {{"port", options.port},
                                 {"mac", to_string(port.mac())},
                                 {"unicast", unicast},
                                 {"max_unicast", most},
                                 {"multicast", options.multicast},
                                 {"vlans", options.vlans},
                                 {"promiscuous", settings.promiscuous},
                                 {"all_multicast", settings.all_multicast}};
    environment.out << json.dump(2) << '\n';
    return;
  }
  environment.out << fmt::format("address    {}\n", to_string(port.mac()));
  environment.out << fmt::format("unicast    {} (at most {})\n", or_dash(fmt::format("{}", fmt::join(unicast, " "))),
                                 most);
  const std::string groups = settings.all_multicast ? "all" : fmt::format("{}", fmt::join(options.multicast, " "));
  environment.out << fmt::format("multicast  {}\n", or_dash(groups));
  environment.out << fmt::format("VLANs      {}\n", or_dash(fmt::format("{}", fmt::join(options.vlans, " "))));
  if (settings.promiscuous) environment.out << "promiscuous: receives frames for any address\n";
}

int run_addr(const Environment& environment, const AddrOptions& options) {
  const auto addresses = wanted(options);
  if (!addresses) return report(environment, addresses.error());
  const auto changed = with_started_port(
      environment, options.port, [&](Port& port) { return change_vlans(port, options); },
      [&](Port& port) {
        auto done = change(port, options, *addresses);
        if (done) print(environment, port, options);
        return done;
      });
  return changed ? kSuccess : report(environment, changed.error());
}

}  // namespace

void add_addr(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<AddrOptions>();
  cli::App* command = app.add_subcommand("addr", "Show the addresses and VLANs that a port receives, and set them");
  command->add_option("port", options->port, "A port, such as vfio:0000:01:00.0")->required();
  command->add_option("--mac", options->mac, "The port's own address");
  command->add_option("--unicast", options->unicast, "Further unicast addresses, separated by commas")->delimiter(',');
  command->add_option("--multicast", options->multicast, "Multicast groups, separated by commas")->delimiter(',');
  command->add_option("--vlan", options->vlans, "Receive these VLANs only, separated by commas; 1 to 4094")
      ->delimiter(',')
      ->check(cli::range(1, 4094));
  command->add_flag("--promiscuous", options->promiscuous, "Receive frames for any address");
  command->add_flag("--all-multicast", options->all_multicast, "Receive the frames of every multicast group");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "What is set here ends with this command, which shows whether the port accepts it.\n\n"
      "Examples:\n"
      "  pollux addr vfio:0000:01:00.0\n"
      "  pollux addr sim:0 --unicast 02:00:00:00:00:01,02:00:00:00:00:02 --json\n"
      "  pollux addr sim:0 --vlan 7,100 --all-multicast");
  command->callback([options, &environment, &exit_code] { exit_code = run_addr(environment, *options); });
}

}  // namespace pollux::tool
