// SPDX-License-Identifier: BSD-3-Clause
// Who has the port: the host's network, the other devices of its group, a driver, a process.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "base/shell_words.hpp"
#include "doctor/checks.hpp"
#include "doctor/vfio_files.hpp"
#include "host/binding.hpp"
#include "host/handover.hpp"
#include "host/host_use.hpp"
#include "pci/iommu_group.hpp"
#include "pci/sysfs.hpp"
#include "pci/vfio_use.hpp"

namespace pollux::tool::doctor {
namespace {

std::vector<std::string> names_of_functions(const pci::SystemPaths& paths, pci::Address address) {
  std::vector<std::string> names;
  for (const pci::Address& function : pci::sysfs::virtual_functions(paths, address)) {
    const auto more = host::bus_names(paths, function);
    names.insert(names.end(), more.begin(), more.end());
  }
  return names;
}

/// How the host uses a port or its virtual functions, which end when the port leaves its driver.
std::vector<host::HostUse> uses_of(const pci::SystemPaths& paths, const host::NetworkState& state,
                                   pci::Address address) {
  auto names = host::bus_names(paths, address);
  const auto functions = names_of_functions(paths, address);
  names.insert(names.end(), functions.begin(), functions.end());
  return host::find_host_use(state, names);
}

/// Names all uses, and the commands that end them.
Finding describe(State state, const std::vector<host::HostUse>& uses) {
  std::vector<std::string> reasons;
  std::vector<std::string> remedies;
  for (const host::HostUse& use : uses) {
    reasons.push_back(fmt::format("{} {} in {}", use.interface, use.reason, use.network_namespace));
    if (!use.remedy.empty()) remedies.push_back(use.remedy);
  }
  Finding finding{state, fmt::format("{}", fmt::join(reasons, "; "))};
  if (!remedies.empty()) finding.remedy = Remedy{fmt::format("{}", fmt::join(remedies, " && "))};
  return finding;
}

/// The command that binds the port, and those that leave their drivers with it, for the user if that is possible.
Invocation bind_command(const Subject& subject) {
  Invocation command{{"pollux", "bind"}};
  const host::User user{subject.caller.name, subject.caller.uid, 0};
  const bool able = host::check_hand_over(subject.paths(), subject.device->address, user).has_value();
  if (user.uid != 0 && able) command.words.insert(command.words.end(), {"--user", user.name});
  for (const pci::Address& address : subject.leaving()) command.words.push_back(address.to_string());
  return command;
}

/// What removes the group's obstacles. --fix may run it if it takes nothing from the host.
Remedy free_group(const Subject& subject, const std::vector<pci::GroupMember>& obstacles) {
  const auto network = subject.environment.network.read();
  std::vector<std::string> steps;
  Invocation bind = bind_command(subject);
  bool safe = network.has_value() && uses_of(subject.paths(), *network, subject.device->address).empty();
  for (const pci::GroupMember& member : obstacles) {
    if (member.address && member.network_controller) {
      bind.words.push_back(member.name);
      safe = safe && uses_of(subject.paths(), *network, *member.address).empty();
      continue;
    }
    safe = false;
    steps.push_back(fmt::format("echo {0} > /sys/bus/{1}/devices/{0}/driver/unbind", shell_quoted(member.name),
                                member.address ? "pci" : "platform"));
  }
  if (steps.empty()) return Remedy::of_steps({std::move(bind)}, safe);
  steps.push_back(shell_text(bind));
  return {fmt::format("{}", fmt::join(steps, " && "))};
}

}  // namespace

Finding check_host_use(const Subject& subject) {
  const pci::DeviceInfo& device = *subject.device;
  const auto state = subject.environment.network.read();
  if (!state) return {State::unknown, state.error().what, {}, state.error().hint};
  const auto uses = uses_of(subject.paths(), *state, device.address);
  std::string found = device.interfaces.empty()
                          ? "the kernel has no interface on it"
                          : fmt::format("{} has no address, route or bridge", fmt::join(device.interfaces, ", "));
  if (uses.empty() && state->unseen.empty()) return {State::ok, found};
  if (uses.empty()) {
    const auto limits = fmt::format("; {} network namespaces cannot be read", state->unseen.size());
    return {State::unknown, found + limits, {}, "run `pollux doctor` as root"};
  }
  Finding finding = describe(State::error, uses);
  finding.advice = "if you reach this machine through the port, use another one, or `pollux bind --force --confirm 60`";
  return finding;
}

Finding check_give_back(const Subject& subject) {
  const auto state = subject.environment.network.read();
  if (!state) return {State::unknown, state.error().what, {}, state.error().hint};
  const pci::Address address = subject.device->address;
  auto losses = host::find_losses(*state, host::bus_names(subject.paths(), address));
  const auto of_functions = host::find_host_use(*state, names_of_functions(subject.paths(), address));
  losses.insert(losses.end(), of_functions.begin(), of_functions.end());
  if (losses.empty()) return {State::ok, "all that the kernel has on the port comes back"};
  Finding finding = describe(State::warning, losses);
  finding.found = "will not be as it was: " + finding.found;
  return finding;
}

Finding check_group(const Subject& subject) {
  const pci::DeviceInfo& device = *subject.device;
  if (!device.iommu_group || is_noiommu_group(subject.paths(), *device.iommu_group)) {
    return {State::unknown, "the port has no IOMMU group"};
  }
  const auto group = pci::read_group(subject.paths(), *device.iommu_group);
  if (!group) return {State::unknown, group.error().what, {}, group.error().hint};
  const auto obstacles = group->obstacles(subject.leaving());
  if (obstacles.empty()) {
    // The kind of domain in which the kernel's driver has the port. Linux, Documentation/ABI/testing/
    // sysfs-kernel-iommu_groups.
    const auto type =
        pci::sysfs::read_text(subject.paths().sys / fmt::format("kernel/iommu_groups/{}/type", group->number));
    return {State::ok, fmt::format("group {}{}, {} devices", group->number, type ? " (type " + *type + ")" : "",
                                   group->members.size())};
  }
  std::vector<std::string> listed;
  for (const pci::GroupMember& member : obstacles) listed.push_back(fmt::format("{} ({})", member.name, member.driver));
  return {State::error, fmt::format("group {}: drivers of the kernel have {}", group->number, fmt::join(listed, ", ")),
          free_group(subject, obstacles), "or move the card to a slot with a group of its own"};
}

Finding check_driver(const Subject& subject) {
  const pci::DeviceInfo& device = *subject.device;
  if (pci::is_vfio_driver(device.driver)) return {State::ok, device.driver};
  const host::Binder binder(subject.paths(), subject.environment.clock, subject.environment.network);
  const auto bindable = binder.check_bind(subject.leaving());
  Finding finding{State::error, device.driver.empty() ? "none" : device.driver};
  finding.remedy = Remedy::of_steps({bind_command(subject)}, bindable.has_value());
  const bool not_root = !bindable && bindable.error().code == ErrorCode::permission_denied;
  if (!bindable && !not_root) finding.advice = "first fix what is above: " + bindable.error().what;
  return finding;
}

Finding check_holder(const Subject& subject) {
  const auto [holders, complete] = pci::find_holders(subject.paths(), *subject.device);
  const std::string missing = complete ? "" : "; not all were looked at, since they have too many files open";
  if (holders.empty()) return {complete ? State::ok : State::unknown, "no process has it open" + missing};
  const pci::DeviceHolder& first = holders.front();
  if (first.process.empty()) {
    return {State::error, fmt::format("a process that is not visible here has {} open{}", first.node.string(), missing),
            Remedy{"fuser -v " + shell_quoted(first.node.string())}, "end the process that this shows on the host"};
  }
  std::string command = "kill";
  for (const pci::DeviceHolder& holder : holders) command += ' ' + holder.process;
  const std::string others = holders.size() == 1 ? "" : fmt::format(" and {} others", holders.size() - 1);
  return {State::error, fmt::format("process {} ({}){} has it open{}", first.process, first.name, others, missing),
          Remedy{command}, "it loses the port; wait for its end instead if it does its work"};
}

Finding check_permissions(const Subject& subject) {
  const pci::DeviceInfo& device = *subject.device;
  if (!pci::is_vfio_driver(device.driver)) return {State::unknown, "the files appear when the port is bound"};
  const VfioFiles files = vfio_files(subject.paths(), device);
  if (!files.noiommu.empty()) {
    if (subject.caller.uid == 0) return {State::ok, "root may use the port without an IOMMU"};
    return {State::error, "without an IOMMU only root can open a port", {}, "run the program as root"};
  }
  std::vector<std::string> denied;
  for (const auto* mode : {&files.iommufd, &files.group}) {
    if (mode->empty()) continue;
    const auto refused = [&](const std::filesystem::path& file) { return !subject.caller.may_open(file); };
    if (std::none_of(mode->begin(), mode->end(), refused)) {
      return {State::ok, fmt::format("{} may open {}", subject.caller.name, mode->back().string())};
    }
    for (const auto& file : *mode) {
      if (refused(file)) denied.push_back(file.string());
    }
  }
  if (denied.empty()) {
    return {State::error, "there is no device file of the port", {}, "in a container, pass /dev/vfio into it"};
  }
  const std::string container = (subject.paths().dev / "vfio/vfio").string();
  std::vector<Invocation> steps{{{"pollux", "bind", "--user", subject.caller.name, device.address.to_string()}}};
  if (std::find(denied.begin(), denied.end(), container) != denied.end()) {
    steps.push_back({{"chmod", "0666", container}});
  }
  return {State::error, fmt::format("{} may not open {}", subject.caller.name, fmt::join(denied, ", ")),
          Remedy::of_steps(std::move(steps)),
          fmt::format("for all ports and each start: pollux setup-user {}", shell_quoted(subject.caller.name))};
}

}  // namespace pollux::tool::doctor
