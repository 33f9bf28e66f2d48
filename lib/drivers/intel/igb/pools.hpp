// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/igb/filters.hpp"
#include "drivers/intel/igb/queue_setup.hpp"
#include "pollux/net/settings.hpp"

namespace pollux::drivers::igb {

/// Checks `config` for a port with `queues` receive queues. Errors: invalid_argument, not_supported.
[[nodiscard]] Result<void> check_pools(const Card& card, const QueuePoolsConfig& config, std::uint32_t queues);

/// The VLANs that the port receives because a pool names them. None: it receives all.
[[nodiscard]] VlanSet pool_vlans(const QueuePoolsConfig& config);
/// RAH.POOLSEL of the port's own address.
[[nodiscard]] std::uint32_t own_pools(const QueuePoolsConfig& config) noexcept;

/// Writes the pools, if there are any, before the card receives.
void start_pools(const Card& card, const Settings& settings);
/// Writes what pools have of the port's other settings; at any time.
void write_pool_settings(const Card& card, const Settings& settings);
/// Enables receiving. `all_groups`: a virtual function receives every multicast frame.
void write_receive_control(const Card& card, const Settings& settings, bool all_groups);

}  // namespace pollux::drivers::igb
