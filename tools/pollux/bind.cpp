// SPDX-License-Identifier: BSD-3-Clause
#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <ostream>
#include <set>

#include "commands.hpp"
#include "pollux/pci/binding.hpp"
#include "pollux/pci/handover.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

struct BindOptions {
  std::vector<std::string> ports;
  bool force = false;
  std::string user;
};

int hand_over(const Environment& environment, const std::vector<pci::BindOutcome>& outcomes, const pci::User& user) {
  std::set<std::uint32_t> groups;
  for (const pci::BindOutcome& outcome : outcomes) {
    if (outcome.iommu_group) groups.insert(*outcome.iommu_group);
  }
  for (const std::uint32_t group : groups) {
    const auto handed = pci::hand_group_to(environment.paths, environment.clock, group, user);
    if (!handed) return report(environment, handed.error());
    for (const auto& file : *handed) {
      environment.out << "group " << group << ": " << file.string() << " belongs to " << user.name << '\n';
    }
  }
  environment.out << pci::memlock_advice(user, {.ports = outcomes.size()});
  return kSuccess;
}

int run_bind(const Environment& environment, const BindOptions& options) {
  const auto addresses = parse_addresses(options.ports);
  if (!addresses) return report(environment, addresses.error(), kUsage);
  std::optional<pci::User> user;
  if (!options.user.empty()) {
    const auto found = pci::find_user(options.user);
    if (!found) return report(environment, found.error());
    user = *found;
  }
  pci::Binder binder(environment.paths, environment.clock, environment.network, environment.log);
  const auto outcomes = binder.bind(*addresses, {.force = options.force});
  if (!outcomes) return report(environment, outcomes.error());
  print_outcomes(environment, *outcomes);
  return user ? hand_over(environment, *outcomes, *user) : kSuccess;
}

}  // namespace

void add_bind(CLI::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<BindOptions>();
  CLI::App* command = app.add_subcommand("bind", "Move ports from the kernel to vfio-pci: all of them or none");
  command->add_option("ports", options->ports, "PCI addresses, such as 0000:01:00.0")->required();
  command->add_flag("--force", options->force,
                    "Bind a port although the host uses it, or a device that is not a network controller");
  command->add_option("--user", options->user,
                      "Let this user open the ports, and print the memlock limit that they need");
  command->callback([options, &environment, &exit_code] { exit_code = run_bind(environment, *options); });
}

}  // namespace pollux::tool
