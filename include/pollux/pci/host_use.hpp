// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/pci/device_info.hpp"
#include "pollux/pci/network_state.hpp"

namespace pollux::pci {

/// One reason why the kernel must keep a port.
struct HostUse {
  std::string reason;  ///< such as "has the address 192.0.2.7/24"
  std::string interface;
  std::string network_namespace;  ///< NetworkNamespace::name
  std::string remedy;             ///< the command that ends this use
};

/// Finds how the host uses a port: an address other than link-local, a route other than those that the kernel adds
/// automatically, membership in a bridge, bond, team or virtual switch, a macvtap or ipvtap interface of a virtual
/// machine, or a PPPoE session. It checks the port's interfaces and those stacked on them (VLAN, macvlan, ...) in all
/// network namespaces. `device_names` are the names that the kernel may use for the bus device of the interface: the
/// PCI address, and for virtio also the name of the virtio device.
[[nodiscard]] POLLUX_API std::vector<HostUse> find_host_use(const NetworkState& state,
                                                            const std::vector<std::string>& device_names);

/// The `device_names` of a PCI function for `find_host_use`.
[[nodiscard]] POLLUX_API std::vector<std::string> bus_names(const SystemPaths& paths, Address address);

/// Error: `in_use_by_host` if the host uses the port; it names the reasons, interfaces and namespaces.
[[nodiscard]] POLLUX_API Result<void> check_unused(const SystemPaths& paths, const NetworkState& state,
                                                   Address address);

}  // namespace pollux::pci
