// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mem/context_state.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/port_driver.hpp"

/// Checks the configurations of all ports.
namespace pollux {

/// An invalid_argument error that starts with the port's name.
[[nodiscard]] tl::unexpected<Error> refuse(std::string_view port, std::string what, std::string hint);

/// Checks that the port has the queue. `direction`: "receive" or "transmit". Error invalid_argument.
[[nodiscard]] Result<void> check_index(const char* direction, std::uint16_t queue, std::uint16_t count,
                                       const PortInfo& port);

/// The queues that `wanted` asks for, with the defaults filled in. Checks all of it and changes nothing. `context` is
/// the port's. `in_force`: the queues of a started port, whose own pool stays; null: a pool is made for queues without
/// one. Errors: invalid_argument (names the value, its range and, for rings, the nearest allowed size), bad_state (a
/// pool would be made on a started port).
[[nodiscard]] Result<PlacedQueues> place_queues(const Settings& wanted, const PortInfo& port,
                                                const ContextState& context, const PlacedQueues* in_force = nullptr);

/// `size`, or the default of such a port for 0.
[[nodiscard]] std::uint32_t ring_or_default(std::uint32_t size, const PortLimits& limits) noexcept;

/// Checks the size of a ring. `prefix` is the start of the field's name, such as "rx[3].". Error invalid_argument:
/// names the nearest allowed size.
[[nodiscard]] Result<void> check_ring(const std::string& prefix, std::uint32_t size, const PortInfo& port);

/// The number of bytes that a port uses in a buffer of `room` bytes.
[[nodiscard]] std::uint32_t usable_buffer_bytes(std::uint32_t room, const PortLimits& limits) noexcept;

// The checks of the settings that only some ports support. `prefix` is the start of a field's name in messages, such as
// "rx[3].". Errors: invalid_argument (a wrong value), not_supported (the port cannot do it).

/// Checks that the pool belongs to the port's Context. `field` is its name in messages.
[[nodiscard]] Result<void> check_pool_owner(const std::string& field, const MempoolCore& pool, const PortInfo& port,
                                            const ContextState& context);

/// Checks copying, drop_enable and thresholds of `config`, and stores copying and thresholds in `queue`.
[[nodiscard]] Result<void> check_rx_settings(const std::string& prefix, const RxQueueConfig& config,
                                             PlacedRxQueue& queue, const PortInfo& port, const ContextState& context);

/// Checks thresholds of `config`.
[[nodiscard]] Result<void> check_tx_settings(const std::string& prefix, const TxQueueConfig& config,
                                             const PortInfo& port);

/// Whether a queue drops frames that find no free descriptor. `wish` has been checked.
[[nodiscard]] bool drops_frames(std::optional<bool> wish, std::size_t rx_queues, const PortInfo& port) noexcept;

}  // namespace pollux
