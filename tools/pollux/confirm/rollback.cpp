// SPDX-License-Identifier: BSD-3-Clause
#include "confirm/rollback.hpp"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>

#include "base/file_descriptor.hpp"
#include "host/binding.hpp"
#include "host/host_use.hpp"
#include "pci/device_info.hpp"
#include "pci/iommu_group.hpp"
#include "pci/sysfs.hpp"
#include "pci/vfio_use.hpp"

namespace pollux::tool {
namespace {

constexpr Duration kPollInterval = std::chrono::milliseconds(50);

Result<void> check_restorable(const host::NetworkState& state, const pci::SystemPaths& paths, pci::Address address) {
  for (const host::HostUse& use : host::find_losses(state, host::bus_names(paths, address))) {
    if (use.restored == host::Restored::partly) continue;
    return fail(ErrorCode::not_supported,
                fmt::format("{} {} in {}: a roll-back could not restore this", use.interface, use.reason,
                            use.network_namespace),
                use.remedy + "; or bind without --confirm and --hold");
  }
  return {};
}

/// Virtual functions end when the driver leaves their physical function, and a roll-back does not create them again.
Result<void> check_functions_unused(const host::NetworkState& state, const pci::SystemPaths& paths,
                                    pci::Address address) {
  for (const pci::Address& function : pci::sysfs::virtual_functions(paths, address)) {
    const auto uses = host::find_host_use(state, host::bus_names(paths, function));
    if (uses.empty()) continue;
    const host::HostUse& use = uses.front();
    return fail(ErrorCode::not_supported,
                fmt::format("{} {} in {}, and is on the virtual function {}: a roll-back could not restore this",
                            use.interface, use.reason, use.network_namespace, function.to_string()),
                fmt::format("remove the virtual functions first: echo 0 > /sys/bus/pci/devices/{}/sriov_numvfs; or "
                            "bind without --confirm and --hold",
                            address.to_string()));
  }
  return {};
}

std::vector<std::string> interfaces_of(const pci::SystemPaths& paths, pci::Address address) {
  const auto device = pci::read_device(paths, address);
  return device ? device->interfaces : std::vector<std::string>{};
}

bool has_left_vfio(const pci::SystemPaths& paths, pci::Address address) {
  const auto device = pci::read_device(paths, address);
  return device && !device->driver.empty() && !pci::is_vfio_driver(device->driver);
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

void signal_if(int process, int signal, const std::function<bool()>& is_meant) {
  const FileDescriptor handle(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
  if (handle && is_meant()) static_cast<void>(::syscall(SYS_pidfd_send_signal, handle.get(), signal, nullptr, 0));
}

Result<Rollback> Rollback::prepare(const Environment& environment, HostActions actions,
                                   const std::vector<pci::Address>& addresses) {
  Rollback rollback;
  auto state = environment.network.read();
  if (!state) return pass_on(std::move(state));
  for (const pci::Address& address : addresses) {
    auto device = pci::read_device(environment.paths, address);
    if (!device) return pass_on(std::move(device));
    if (pci::is_vfio_driver(device->driver)) continue;
    if (auto able = check_restorable(*state, environment.paths, address); !able) return pass_on(std::move(able));
    if (auto able = check_functions_unused(*state, environment.paths, address); !able) return pass_on(std::move(able));
    Port port{address, {}};
    for (const std::string& interface : device->interfaces) {
      auto saved = actions.save(interface);
      if (!saved) return pass_on(std::move(saved));
      port.interfaces.push_back(*std::move(saved));
    }
    rollback.ports_.push_back(std::move(port));
  }
  rollback.actions_ = std::move(actions);
  return rollback;
}

Result<void> Rollback::run(const Environment& environment) const {
  Result<void> first_error;
  for (const Port& port : ports_) {
    end_holders(environment, port);
    auto given = give_back(environment, port);
    // A port of a busy machine is still bound. The caller has to learn of that.
    const bool busy = !given && given.error().code == ErrorCode::busy;
    if (busy || (first_error && !given)) first_error = std::move(given);
  }
  return first_error;
}

// The kernel cannot take a device from processes that have it open: the unbind would wait for their end. A process may
// have started others meanwhile, so those are looked for again.
void Rollback::end_holders(const Environment& environment, const Port& port) const {
  const auto device = pci::read_device(environment.paths, port.address);
  if (!device) return;
  const auto holders = [&] { return pci::find_holders(environment.paths, *device).found; };
  for (const int signal : {SIGTERM, SIGKILL, SIGKILL}) {
    bool signalled = false;
    for (const pci::DeviceHolder& holder : holders()) {
      const std::string& number = holder.process;
      int process = 0;
      const auto [end, bad] = std::from_chars(number.data(), number.data() + number.size(), process);
      if (bad != std::errc() || process <= 1) continue;
      actions_.kill(process, signal, [&] { return pci::is_holder(environment.paths, *device, number); });
      signalled = true;
    }
    if (!signalled) return;
    const auto ended = wait_until(
        environment.clock, "the end of the processes", kEndLimit, [&] { return holders().empty(); }, kPollInterval);
    if (ended) return;
  }
}

Result<void> Rollback::give_back(const Environment& environment, const Port& port) const {
  host::Binder binder(environment.paths, environment.clock, environment.network, environment.log);
  Result<void> first_error;
  if (auto unbound = binder.unbind(std::array{port.address}); !unbound) {
    // A port that has its driver again can also get its network again.
    if (!has_left_vfio(environment.paths, port.address)) return pass_on(std::move(unbound));
    first_error = pass_on(std::move(unbound));
  }
  for (const host::InterfaceBackup& interface : port.interfaces) {
    const auto names = [&] { return interfaces_of(environment.paths, port.address); };
    // udev may rename the interface some time after it has appeared. restore() renames it if that does not happen.
    static_cast<void>(wait_until(
        environment.clock, interface.name, kInterfaceLimit, [&] { return has(names(), interface.name); },
        kPollInterval));
    const auto now = names();
    if (now.empty()) {
      if (!first_error) return first_error;
      return fail(ErrorCode::timeout, fmt::format("{} has no interface again", port.address.to_string()),
                  "see the kernel's log: dmesg | tail");
    }
    auto restored = actions_.restore(interface, has(now, interface.name) ? interface.name : now.front());
    if (first_error && !restored) first_error = std::move(restored);
  }
  return first_error;
}

}  // namespace pollux::tool
