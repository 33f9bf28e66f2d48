// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include "common/cli.hpp"

#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/printable.hpp"
#include "commands.hpp"
#include "pci_facts.hpp"
#include "port_facts.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

struct InfoOptions {
  std::string port;
  bool json = false;
  bool registers = false;
};

// Whether `uri` names a port that is not a PCI device, such as sim:0.
bool is_elsewhere(const std::string& uri) {
  const auto scheme = uri.substr(0, uri.find(':'));
  return uri.find(':') != std::string::npos && scheme != "vfio" && !pci::Address::parse(uri.substr(0, uri.find('?')));
}

// Facts from the PCI bus, and those of the port if Pollux may open it.
Result<std::vector<Facts>> gather(const Environment& environment, const InfoOptions& options) {
  std::vector<Facts> all;
  const bool may_open = environment.open_port != nullptr;
  if (!may_open || !is_elsewhere(options.port)) {
    auto addresses = parse_addresses({options.port});
    if (!addresses) {
      addresses.error().hint +=
          "; or give a port's URI, such as sim:0 or xdp:eth0; ports of running programs: `pollux show`, `pollux stats`";
      return pass_on(std::move(addresses));
    }
    auto pci = pci_facts(environment, addresses->front());
    if (!pci) return tl::unexpected<Error>(pci.error());
    const bool bound = pci->json["driver"] == "vfio-pci";
    all.push_back(*std::move(pci));
    if (!may_open || !bound) return all;
  }
  auto port = port_facts(environment, options.port, options.registers);
  if (!port) return tl::unexpected<Error>(port.error());
  all.push_back(*std::move(port));
  return all;
}

void print(const Environment& environment, const std::vector<Facts>& all) {
  for (const Facts& facts : all) {
    environment.out << facts.title << '\n';
    for (const Facts::Line& line : facts.lines)
      environment.out << fmt::format("  {:<18}{}\n", line.label, printable(line.value));
  }
}

void print_json(const Environment& environment, const std::vector<Facts>& all) {
  nlohmann::json json = nlohmann::json::object();
  for (const Facts& facts : all) json[facts.key] = facts.json;
  environment.out << json.dump(2, ' ', true, kReplaceBadText) << '\n';
}

int run_info(const Environment& environment, const InfoOptions& options) {
  const auto all = gather(environment, options);
  if (!all) return report(environment, all.error());
  if (options.json) {
    print_json(environment, *all);
  } else {
    print(environment, *all);
  }
  return kSuccess;
}

}  // namespace

void add_info(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<InfoOptions>();
  cli::App* command = app.add_subcommand("info", "Show everything that is known about one port");
  command->add_option("port", options->port, "A port, such as vfio:0000:01:00.0 or the bare PCI address")->required();
  command->add_flag("--registers", options->registers, "Show the card's registers, too (if Pollux can open the port)");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "pollux info vfio:0000:01:00.0\n"
      "pollux info sim:0 --registers --json\n"
      "Of a port that the kernel has, the PCI facts are shown. A port that is bound to vfio-pci is opened and "
      "started.");
  command->callback([options, &environment, &exit_code] { exit_code = run_info(environment, *options); });
}

}  // namespace pollux::tool
