// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "netlink/messages.hpp"
#include "pollux/base/error.hpp"
#include "pollux/host/network_state.hpp"

namespace pollux::host {

/// Returns the id of the namespace that the current one knows as `nsid`, or `NetworkLink::kUnknownNamespace`.
using NamespaceResolver = std::function<std::uint64_t(std::int32_t nsid)>;

/// Fills links, addresses and routes from the network namespace of the calling thread.
[[nodiscard]] Result<void> read_current_namespace(NetworkNamespace& into, const NamespaceResolver& resolve);

/// The address in a message RTM_NEWADDR, or nullopt if there is no IPv4 or IPv6 address in it.
[[nodiscard]] std::optional<LinkAddress> read_address(netlink::Bytes message);

/// The destination in a message RTM_NEWROUTE, or nullopt if it is neither of IPv4 nor of IPv6.
[[nodiscard]] std::optional<IpPrefix> read_destination(netlink::Bytes message);

/// The number by which the current namespace knows the namespace of `descriptor`; negative if it has none.
[[nodiscard]] std::int32_t namespace_number(int descriptor);

}  // namespace pollux::host
