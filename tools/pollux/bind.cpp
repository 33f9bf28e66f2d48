// SPDX-License-Identifier: BSD-3-Clause
#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>
#include <ostream>
#include <set>

#include "commands.hpp"
#include "common/cli.hpp"
#include "confirm/confirmed_bind.hpp"
#include "host/binding.hpp"
#include "host/handover.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

struct BindOptions {
  std::vector<std::string> ports;
  bool force = false;
  std::string user;
  unsigned confirm = 0;  ///< seconds; 0: no confirmation is needed
  bool confirmed = false;
  bool hold = false;
};

int hand_over(const Environment& environment, const std::vector<host::BindOutcome>& outcomes, const host::User& user) {
  std::set<std::uint32_t> groups;
  for (const host::BindOutcome& outcome : outcomes) {
    if (outcome.iommu_group) groups.insert(*outcome.iommu_group);
  }
  for (const std::uint32_t group : groups) {
    const auto handed = host::hand_group_to(environment.paths, environment.clock, group, user);
    if (!handed) return report(environment, handed.error());
    for (const auto& file : *handed) {
      environment.out << "group " << group << ": " << file.string() << " belongs to " << user.name << '\n';
    }
  }
  environment.out << host::memlock_advice(user, {.ports = outcomes.size()});
  return kSuccess;
}

int bind_and_hand_over(const Environment& environment, const std::vector<pci::Address>& addresses,
                       const host::BindOptions& options, const std::optional<host::User>& user) {
  host::Binder binder(environment.paths, environment.clock, environment.network, environment.log);
  const auto outcomes = binder.bind(addresses, options);
  if (!outcomes) return report(environment, outcomes.error());
  print_outcomes(environment, *outcomes);
  return user ? hand_over(environment, *outcomes, *user) : kSuccess;
}

int run_bind(const Environment& environment, const BindOptions& options) {
  if (options.confirmed) return confirm_binding(environment);
  const auto addresses = parse_addresses(options.ports);
  if (!addresses) return report(environment, addresses.error());
  std::optional<host::User> user;
  if (!options.user.empty()) {
    const auto found = host::find_user(options.user);
    if (!found) return report(environment, found.error());
    user = *found;
    for (const pci::Address& address : *addresses) {
      const auto able = host::check_hand_over(environment.paths, address, *user);
      if (!able) return report(environment, able.error());
    }
  }
  const host::BindOptions how{.force = options.force};
  const auto bind = [&] { return bind_and_hand_over(environment, *addresses, how, user); };
  if (options.confirm == 0 && !options.hold) return bind();
  const HostActions actions;
  if (options.hold) return bind_and_hold(environment, *addresses, how, STDIN_FILENO, actions, bind);
  return bind_with_confirmation(environment, *addresses, how, std::chrono::seconds(options.confirm), actions, bind);
}

}  // namespace

void add_bind(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<BindOptions>();
  cli::App* command = app.add_subcommand("bind", "Move ports from the kernel to vfio-pci: all of them or none");
  cli::Option* ports = command->add_option("ports", options->ports, "PCI addresses, such as 0000:01:00.0");
  command->add_flag("--force", options->force,
                    "Bind a port although the host uses it, or a device that is not a network controller");
  command->add_option("--user", options->user,
                      "Let this user open the ports, and print the memlock limit that they need");
  cli::Option* confirm =
      command
          ->add_option(
              "--confirm", options->confirm,
              "Give the ports back, with their interfaces' addresses and routes, after this many seconds, unless "
              "Enter is pressed or `pollux bind --confirmed` is run; also if this session is lost meanwhile")
          ->check(cli::range(1U, 3600U));
  cli::Option* confirmed = command->add_flag("--confirmed", options->confirmed, "Keep what --confirm has bound");
  confirmed->excludes(ports);
  command
      ->add_flag("--hold", options->hold,
                 "Keep the ports while standard input is open, then give them back as they were; also if this command "
                 "is killed")
      ->excludes(confirm)
      ->excludes(confirmed);
  command->footer(
      "pollux bind 0000:01:00.0 0000:01:00.1\n"
      "pollux bind --user alice 0000:01:00.0\n"
      "pollux bind --force --confirm 60 0000:01:00.0\n"
      "The addresses and routes of the ports' interfaces are saved. `pollux unbind` restores them.\n"
      "With --confirm nobody is locked out by binding the port of the own session: if nothing confirms, it comes "
      "back.\n"
      "With --hold a script has the ports for as long as it runs: they come back when its end of a pipe closes.\n"
      "A program that has the port open then is ended.");
  command->callback([options, &environment, &exit_code] {
    if (!options->confirmed && options->ports.empty()) throw cli::UsageError::missing("ports");
    exit_code = run_bind(environment, *options);
  });
}

}  // namespace pollux::tool
