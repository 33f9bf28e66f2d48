// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "mem/context_state.hpp"
#include "net/validated_config.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/port_driver.hpp"

/// Checks the settings that only some ports support. `prefix` is the start of a field's name in messages, such as
/// "rx." or "rx_override[3].". Errors: invalid_argument (a wrong value), not_supported (the port cannot do it).
namespace pollux {

/// Checks that the pool belongs to the port's Context. `field` is its name in messages.
[[nodiscard]] Result<void> check_pool_owner(const std::string& field, const MempoolCore& pool, const PortInfo& port,
                                            const ContextState& context);

/// Checks copying, drop_enable and thresholds of `config`, and stores copying and thresholds in `queue`.
[[nodiscard]] Result<void> check_rx_settings(const std::string& prefix, const RxQueueConfig& config,
                                             ValidatedRxQueue& queue, const PortInfo& port,
                                             const ContextState& context);

/// Checks head_write_back and thresholds of `config`.
[[nodiscard]] Result<void> check_tx_settings(const std::string& prefix, const TxQueueConfig& config,
                                             const PortInfo& port);

/// Whether a queue drops frames that find no free descriptor. `wish` has been checked.
[[nodiscard]] bool drops_frames(std::optional<bool> wish, std::uint16_t rx_queues, const PortInfo& port) noexcept;

/// Checks keep_fcs, keep_bad_frames, count_bytes and packet_buffers.
[[nodiscard]] Result<void> check_port_settings(const PortConfig& config, const PortInfo& port);

}  // namespace pollux
