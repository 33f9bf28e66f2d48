// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mem/context_state.hpp"
#include "net/validated_config.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/port_driver.hpp"

/// The one place where a configuration is checked, whatever port it is for.
namespace pollux {

/// invalid_argument, with the port's name in front.
[[nodiscard]] tl::unexpected<Error> refuse(std::string_view port, std::string what, std::string hint);

/// Checks `config` whole and touches nothing. `context` is the port's. Error invalid_argument: names the value, its
/// range and, for rings, the nearest size that is allowed.
[[nodiscard]] Result<ValidatedConfig> check_config(const PortConfig& config, const PortInfo& port,
                                                   const ContextState& context);

/// Whether the MTU is within the port's limits, and its frames fit the buffers of `config`. Error invalid_argument.
[[nodiscard]] Result<void> check_mtu(std::uint32_t mtu, const ValidatedConfig& config, const PortInfo& port);

/// Whether the port can receive frames for any destination, if that is asked for. Error not_supported.
[[nodiscard]] Result<void> check_promiscuous(bool promiscuous, const PortInfo& port);

/// Bytes that a port uses of a buffer with `room` of them.
[[nodiscard]] std::uint32_t usable_buffer_bytes(std::uint32_t room, const PortLimits& limits) noexcept;

/// The power of two within the limits that is nearest to `size`.
[[nodiscard]] std::uint32_t nearest_ring(std::uint32_t size, const PortLimits& limits) noexcept;

}  // namespace pollux
