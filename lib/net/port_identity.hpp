// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "mem/context_state.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/port.hpp"

/// Port indices and MAC addresses, for all ports.
namespace pollux {

/// Takes an unused port index of the Context, for Mbuf::port(). The PortMachine returns it when the port is closed.
/// Error no_memory: no index is left. `port` is the name in that error.
[[nodiscard]] Result<std::uint16_t> next_port_index(ContextState& context, std::string_view port);

/// Whether a port can have the address: not a group address and not all zero.
[[nodiscard]] bool is_station_address(const MacAddress& mac) noexcept;

/// A random address for a port without one: locally administered (IEEE 802, 8.2.2).
[[nodiscard]] MacAddress random_station_address();

[[nodiscard]] std::string_view state_name(PortState state) noexcept;

/// Checks that `call` is allowed in the state of the port called `port`; otherwise bad_state, with a hint that leads
/// out of that state. `failure` is the reason if the port has failed.
[[nodiscard]] Result<void> expect_state(PortState state, std::initializer_list<PortState> allowed,
                                        std::string_view port, std::string_view call, const Error& failure);

}  // namespace pollux
