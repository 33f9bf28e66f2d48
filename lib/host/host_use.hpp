// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "host/network_state.hpp"
#include "pollux/base/error.hpp"
#include "pollux/pci/address.hpp"

namespace pollux::host {

/// How much of a use comes back when the port returns to the kernel (`Binder::unbind`).
enum class Restored {
  fully,       ///< as it was before
  partly,      ///< a bridge's or bond's own settings for its member are lost; a connection may have ended meanwhile
  not_at_all,  ///< somebody has to set it up again
};

/// One reason why the kernel must keep a port.
struct HostUse {
  std::string reason;                   ///< such as "has the address 192.0.2.7/24"
  std::string interface;                ///< the port's own, or one stacked on it
  std::string network_namespace;        ///< NetworkNamespace::name
  std::string remedy;                   ///< the command that ends this use; empty: there is none
  Restored restored = Restored::fully;  ///< whether the host gets it back after `unbind`
};

/// Finds how the host uses a port: an address other than link-local, a route other than those that the kernel adds
/// automatically, membership in a bridge, bond, team or virtual switch, a macvtap or ipvtap interface of a virtual
/// machine, a PPPoE session, TCP connections, the user's own ssh session, or a place in another network namespace. It
/// checks the port's interfaces and those stacked on them (VLAN, macvlan, ...) in all network namespaces.
/// `device_names` are the names that the kernel may use for the bus device of the interface: the PCI address, and for
/// virtio also the name of the virtio device.
[[nodiscard]] std::vector<HostUse> find_host_use(const NetworkState& state,
                                                 const std::vector<std::string>& device_names);

/// Finds what does not come back completely when a port returns to the kernel: such uses of its interfaces, and each
/// interface that is stacked on them, also if nobody uses it.
[[nodiscard]] std::vector<HostUse> find_losses(const NetworkState& state, const std::vector<std::string>& device_names);

/// The `device_names` of a PCI function for `find_host_use`.
[[nodiscard]] std::vector<std::string> bus_names(const pci::SystemPaths& paths, pci::Address address);

/// Error: `in_use_by_host` if the host uses the port; it names the reasons, interfaces and namespaces.
[[nodiscard]] Result<void> check_unused(const pci::SystemPaths& paths, const NetworkState& state, pci::Address address);

}  // namespace pollux::host
