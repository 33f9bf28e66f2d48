// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "environment.hpp"
#include "pollux/base/error.hpp"
#include "pollux/host/interface_backup.hpp"
#include "pollux/pci/address.hpp"

namespace pollux::tool {

/// Sends a signal to the process that has this number if `is_meant` says so afterwards: what it says is true of that
/// process, and not of a later one with the same number.
void signal_if(int process, int signal, const std::function<bool()>& is_meant);

/// What a roll-back does to the rest of the machine. Tests replace it.
struct HostActions {
  std::function<Result<host::InterfaceBackup>(const std::string& name)> save = &host::back_up_interface;
  std::function<Result<void>(const host::InterfaceBackup&, const std::string& current_name)> restore =
      &host::restore_interface;
  std::function<void(int process, int signal, const std::function<bool()>& is_meant)> kill = &signal_if;
};

/// What has to be given back to the kernel: ports, and how their interfaces were configured.
class Rollback {
 public:
  /// How long a process that has a port open may take to end before it is killed.
  static constexpr Duration kEndLimit = std::chrono::seconds(5);
  /// How long the kernel's driver and udev may take to make an interface and to name it.
  static constexpr Duration kInterfaceLimit = std::chrono::seconds(5);

  /// Saves the state of ports that are not bound yet. Errors: `not_found`; `not_supported` if an interface that is
  /// stacked on a port's, lies in another network namespace or is a virtual function's would be lost for good.
  [[nodiscard]] static Result<Rollback> prepare(const Environment& environment, HostActions actions,
                                                const std::vector<pci::Address>& addresses);

  /// Ends processes that have the ports open, gives the ports back to the kernel and restores their interfaces. Goes on
  /// after an error, and returns the first; but `busy` if another process changes bindings: then it has to be called
  /// again. Can be called again at any time.
  [[nodiscard]] Result<void> run(const Environment& environment) const;

 private:
  struct Port {
    pci::Address address;
    std::vector<host::InterfaceBackup> interfaces;
  };
  void end_holders(const Environment& environment, const Port& port) const;
  [[nodiscard]] Result<void> give_back(const Environment& environment, const Port& port) const;

  HostActions actions_;
  std::vector<Port> ports_;
};

}  // namespace pollux::tool
