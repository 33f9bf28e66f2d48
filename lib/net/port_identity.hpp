// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>

#include "mem/context_state.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/link.hpp"

/// What a port is told apart by, whatever it stands on.
namespace pollux {

/// The number of a new port within its Context: Mbuf::port() of what it receives. The PortMachine gives it back when
/// the port is closed. Error no_memory: none is left; `port` names the port in it.
[[nodiscard]] Result<std::uint16_t> next_port_index(ContextState& context, std::string_view port);

/// Whether a port can have the address: not a group's, and not all zero.
[[nodiscard]] bool is_station_address(const MacAddress& mac) noexcept;

/// One for a port that was given none: locally administered (IEEE 802, 8.2.2).
[[nodiscard]] MacAddress random_station_address();

}  // namespace pollux
