// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "host/network_state.hpp"
#include "netlink/messages.hpp"
#include "pollux/base/error.hpp"

namespace pollux::host {

/// For the index of each link whose lower one is in another namespace: the number by which the link's namespace knows
/// that one.
using NamespaceNumbers = std::map<std::uint32_t, std::int32_t>;

/// Fills links from the network namespace of the calling thread. The `lower_namespace` of those in `numbers` is
/// unknown.
[[nodiscard]] Result<void> read_links(NetworkNamespace& into, NamespaceNumbers& numbers);

/// Fills addresses and routes from the network namespace of the calling thread.
[[nodiscard]] Result<void> read_addresses_and_routes(NetworkNamespace& into);

/// The address in a message RTM_NEWADDR, or nullopt if there is no IPv4 or IPv6 address in it.
[[nodiscard]] std::optional<LinkAddress> read_address(netlink::Bytes message);

/// The destination in a message RTM_NEWROUTE, or nullopt if it is neither of IPv4 nor of IPv6.
[[nodiscard]] std::optional<IpPrefix> read_destination(netlink::Bytes message);

/// The number by which the current namespace knows the namespace of `descriptor`; negative if it has none.
[[nodiscard]] std::int32_t namespace_number(int descriptor);

}  // namespace pollux::host
