// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "commands.hpp"
#include "pci_facts.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

struct Options {
  std::string port;
  bool json = false;
};

void print(const Environment& environment, const std::vector<Facts>& all) {
  for (const Facts& facts : all) {
    environment.out << facts.title << '\n';
    for (const Facts::Line& line : facts.lines) environment.out << fmt::format("  {:<18}{}\n", line.label, line.value);
  }
}

void print_json(const Environment& environment, const std::vector<Facts>& all) {
  nlohmann::json json = nlohmann::json::object();
  for (const Facts& facts : all) json[facts.key] = facts.json;
  environment.out << json.dump(2, ' ', false, kReplaceBadText) << '\n';
}

int run(const Environment& environment, const Options& options) {
  const auto addresses = parse_addresses({options.port});
  if (!addresses) return report(environment, addresses.error(), kUsage);
  auto pci = pci_facts(environment, addresses->front());
  if (!pci) return report(environment, pci.error());
  const std::vector<Facts> all{*std::move(pci)};
  if (options.json) {
    print_json(environment, all);
  } else {
    print(environment, all);
  }
  return kSuccess;
}

}  // namespace

void add_info(CLI::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("info", "Show all that is known of one port");
  command->add_option("port", options->port, "A port, such as vfio:0000:01:00.0 or the bare PCI address")->required();
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &environment, &exit_code] { exit_code = run(environment, *options); });
}

}  // namespace pollux::tool
