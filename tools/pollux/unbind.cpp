// SPDX-License-Identifier: BSD-3-Clause
#include <memory>
#include "common/cli.hpp"

#include "commands.hpp"
#include "host/binding.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

int run_unbind(const Environment& environment, const std::vector<std::string>& ports) {
  const auto addresses = parse_addresses(ports);
  if (!addresses) return report(environment, addresses.error());
  host::Binder binder(environment.paths, environment.clock, environment.network, environment.log);
  const auto outcomes = binder.unbind(*addresses);
  if (!outcomes) return report(environment, outcomes.error());
  print_outcomes(environment, *outcomes);
  return kSuccess;
}

}  // namespace

void add_unbind(cli::App& app, const Environment& environment, int& exit_code) {
  auto ports = std::make_shared<std::vector<std::string>>();
  cli::App* command = app.add_subcommand("unbind", "Return ports to the drivers that they had before `pollux bind`");
  command->add_option("ports", *ports, "PCI addresses, such as 0000:01:00.0")->required();
  command->footer(
      "pollux unbind 0000:01:00.0 0000:01:00.1\n"
      "Their interfaces get their names, addresses and routes again, as `pollux bind` has saved them.\n"
      "A port that a program has open is not unbound.");
  command->callback([ports, &environment, &exit_code] { exit_code = run_unbind(environment, *ports); });
}

}  // namespace pollux::tool
