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

/// `current`, settings in force, with those of `config`. Checks all of it and changes nothing. `context` is the port's.
/// Error invalid_argument: names the value, its range and, for rings, the nearest allowed size.
[[nodiscard]] Result<PlacedSettings> with_config(const PlacedSettings& current, const PortConfig& config,
                                                 const PortInfo& port, const ContextState& context);

/// `wanted`, the settings of another port, with its queues checked for this one. A queue has no cache, and no pool if
/// it had the other port's own. Errors: as with_config's.
[[nodiscard]] Result<PlacedSettings> with_queues_of(const PlacedSettings& wanted, const PortInfo& port,
                                                    const ContextState& context);

/// The queues of `current`, settings in force, with `config` for one queue of it. A pool that `config` leaves out is
/// the one that the queue has. Errors: as with_config's, and invalid_argument where there is no such queue.
[[nodiscard]] Result<ValidatedConfig> with_rx_queue(const Settings& current, std::uint16_t queue,
                                                    const RxQueueConfig& config, const PortInfo& port,
                                                    const ContextState& context);
[[nodiscard]] Result<ValidatedConfig> with_tx_queue(const Settings& current, std::uint16_t queue,
                                                    const TxQueueConfig& config, const PortInfo& port,
                                                    const ContextState& context);

/// The queues of `current` with another ring for one of them. Errors: as with_rx_queue's.
[[nodiscard]] Result<ValidatedConfig> with_ring(const Settings& current, QueueId queue, std::uint32_t descriptors,
                                                const PortInfo& port);

/// Checks the size of a ring. `prefix` is the start of the field's name, such as "rx." or "rx_override[3].". Error
/// invalid_argument: names the nearest allowed size.
[[nodiscard]] Result<void> check_ring(const std::string& prefix, std::uint32_t size, const PortInfo& port);

/// The number of bytes that a port uses in a buffer of `room` bytes.
[[nodiscard]] std::uint32_t usable_buffer_bytes(std::uint32_t room, const PortLimits& limits) noexcept;

// The checks of the settings that only some ports support. `prefix` is the start of a field's name in messages, such as
// "rx." or "rx_override[3].". Errors: invalid_argument (a wrong value), not_supported (the port cannot do it).

/// Checks that the pool belongs to the port's Context. `field` is its name in messages.
[[nodiscard]] Result<void> check_pool_owner(const std::string& field, const MempoolCore& pool, const PortInfo& port,
                                            const ContextState& context);

/// Checks copying, drop_enable and thresholds of `config`, and stores copying and thresholds in `queue`.
[[nodiscard]] Result<void> check_rx_settings(const std::string& prefix, const RxQueueConfig& config,
                                             ValidatedRxQueue& queue, const PortInfo& port,
                                             const ContextState& context);

/// Checks thresholds of `config`.
[[nodiscard]] Result<void> check_tx_settings(const std::string& prefix, const TxQueueConfig& config,
                                             const PortInfo& port);

/// Whether a queue drops frames that find no free descriptor. `wish` has been checked.
[[nodiscard]] bool drops_frames(std::optional<bool> wish, std::uint16_t rx_queues, const PortInfo& port) noexcept;

/// Checks keep_fcs, keep_bad_frames, count_bytes and packet_buffers.
[[nodiscard]] Result<void> check_port_settings(const PortConfig& config, const PortInfo& port);

}  // namespace pollux
