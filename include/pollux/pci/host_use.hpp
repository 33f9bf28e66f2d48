// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/pci/device_info.hpp"
#include "pollux/pci/network_state.hpp"

namespace pollux::pci {

/// One reason why a port must stay with the kernel.
struct HostUse {
  std::string reason;  ///< such as "has the address 192.0.2.7/24"
  std::string interface;
  std::string network_namespace;  ///< in words
  std::string remedy;             ///< the command that ends this use
};

/// What the host does with the port `device`, on its own interfaces and on those stacked upon them (VLAN, macvlan,
/// ...), wherever they were moved: an address other than link-local, a route other than those that the kernel adds by
/// itself, membership in a bridge, bond, team or virtual switch. `device_names` are the names by which the kernel may
/// call the bus device below the interface: the PCI address, and for virtio the virtio device's name, too.
[[nodiscard]] POLLUX_API std::vector<HostUse> find_host_use(const NetworkState& state,
                                                            const std::vector<std::string>& device_names);

/// `device_names` for `find_host_use`.
[[nodiscard]] POLLUX_API std::vector<std::string> bus_names(const SystemPaths& paths, Address address);

/// Error `in_use_by_host` if the host uses the port, with every reason, interface and namespace.
[[nodiscard]] POLLUX_API Result<void> check_unused(const SystemPaths& paths, const NetworkState& state,
                                                   Address address);

}  // namespace pollux::pci
