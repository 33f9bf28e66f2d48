// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/host/interface_backup.hpp"
#include "pollux/net/capability.hpp"
#include "pollux/net/kernel_interface.hpp"
#include "pollux/net/packet/ethernet.hpp"

namespace pollux::examples {

/// What the kernel's interface gets: addresses, or the network that the card's interface had before `pollux bind`.
struct InterfaceNetwork {
  std::vector<InterfaceAddress> addresses;
  std::optional<host::InterfaceBackup> saved;
};

/// An address such as "10.0.0.1/24"; nullopt if it is none.
[[nodiscard]] std::optional<InterfaceAddress> parse_interface_address(const std::string& text);

/// The network that was saved when the port was bound. Errors: those of host::saved_interfaces; `not_found` if the port
/// is none of vfio: or its interface had no address.
[[nodiscard]] Result<InterfaceNetwork> network_before_bind(std::string_view port);

/// The first IPv4 address of a network; 0.0.0.0 if it has none.
[[nodiscard]] packet::Ipv4Address first_ipv4_address(const InterfaceNetwork& network);

/// Error: `io_error` names what the kernel rejected.
[[nodiscard]] Result<void> give_network(const InterfaceNetwork& network, const Capability<KernelInterface>& interface);

}  // namespace pollux::examples
