// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "../../examples/common/mac_text.hpp"
#include "commands.hpp"
#include "pollux/net/frame_filters.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

struct AddrOptions {
  std::string port;
  std::string mac;
  std::vector<std::string> unicast;
  std::vector<std::string> multicast;
  bool json = false;
};

Result<std::vector<MacAddress>> parse_all(const std::vector<std::string>& texts) {
  std::vector<MacAddress> all;
  for (const std::string& text : texts) {
    const auto mac = examples::parse_mac(text);
    if (!mac) {
      return fail(ErrorCode::invalid_argument, fmt::format("'{}' is no MAC address", text),
                  "write six bytes, such as 02:00:00:00:00:01");
    }
    all.push_back(*mac);
  }
  return all;
}

tl::unexpected<Error> lacks_filter(const std::string& port, const char* what) {
  return fail(ErrorCode::not_supported, fmt::format("{} has no filter for {}", port, what),
              "use a port that has it, or promiscuous mode");
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

Result<void> change(Port& port, const AddrOptions& options, const Wanted& addresses) {
  const auto unicast_filter = port.capability<UnicastFilter>();
  if (!addresses.unicast.empty() && !unicast_filter) return lacks_filter(options.port, "unicast addresses");
  const auto groups_filter = port.capability<MulticastFilter>();
  if (!addresses.groups.empty() && !groups_filter) return lacks_filter(options.port, "multicast groups");
  if (!addresses.own.empty()) {
    if (auto set = port.set_mac(addresses.own.front()); !set) return set;
  }
  if (!addresses.unicast.empty()) {
    if (auto set = unicast_filter->set_unicast(addresses.unicast); !set) return set;
  }
  return addresses.groups.empty() ? Result<void>() : groups_filter->set_multicast(addresses.groups);
}

void print(const Environment& environment, Port& port, const AddrOptions& options) {
  const auto filter = port.capability<UnicastFilter>();
  std::vector<std::string> unicast;
  const std::size_t most = filter ? filter->max_unicast() : 0;
  if (filter) {
    for (const MacAddress& mac : filter->unicast()) unicast.push_back(to_string(mac));
  }
  if (options.json) {
    const nlohmann::json json = {
        {"mac", to_string(port.mac())}, {"unicast", unicast}, {"max_unicast", most}, {"multicast", options.multicast}};
    environment.out << json.dump(2) << '\n';
    return;
  }
  environment.out << fmt::format("address    {}\n", to_string(port.mac()));
  environment.out << fmt::format("unicast    {} (at most {})\n", or_dash(fmt::format("{}", fmt::join(unicast, " "))),
                                 most);
  environment.out << fmt::format("multicast  {}\n", or_dash(fmt::format("{}", fmt::join(options.multicast, " "))));
}

int run_addr(const Environment& environment, const AddrOptions& options) {
  const auto addresses = wanted(options);
  if (!addresses) return report(environment, addresses.error(), kUsage);
  auto port = environment.open_port(options.port);
  if (!port) return report(environment, port.error());
  if (auto changed = change(*port, options, *addresses); !changed) return report(environment, changed.error());
  print(environment, *port, options);
  return kSuccess;
}

}  // namespace

void add_addr(CLI::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<AddrOptions>();
  CLI::App* command = app.add_subcommand("addr", "Show the MAC addresses that a port receives, and set them");
  command->add_option("port", options->port, "A port, such as vfio:0000:01:00.0")->required();
  command->add_option("--mac", options->mac, "The port's own address");
  command->add_option("--unicast", options->unicast, "Further unicast addresses, separated by commas")->delimiter(',');
  command->add_option("--multicast", options->multicast, "Multicast groups, separated by commas")->delimiter(',');
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "What is set here ends with this command, which shows whether the port accepts it.\n\n"
      "Examples:\n"
      "  pollux addr vfio:0000:01:00.0\n"
      "  pollux addr sim:0 --unicast 02:00:00:00:00:01,02:00:00:00:00:02 --json");
  command->callback([options, &environment, &exit_code] { exit_code = run_addr(environment, *options); });
}

}  // namespace pollux::tool
