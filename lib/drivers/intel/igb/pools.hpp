// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/igb/rx_setup.hpp"
#include "drivers/intel/igb/vlan.hpp"
#include "pollux/net/queue_pools.hpp"

namespace pollux::drivers::igb {

/// What the port's other settings mean for a pool.
struct PoolCommon {
  ReceiveLimit limit;
  bool strip_vlans = false;
  bool keep_fcs = false;
  bool all_multicast = false;
  bool promiscuous = false;
};

/// Checks `config` for a port with `queues` receive queues. Errors: invalid_argument, not_supported.
[[nodiscard]] Result<void> check_pools(const Card& card, const QueuePoolsConfig& config, std::uint32_t queues);

/// The VLANs that the port receives because a pool names them. None: it receives all.
[[nodiscard]] VlanSet pool_vlans(const QueuePoolsConfig& config);
/// RAH.POOLSEL of the port's own address.
[[nodiscard]] std::uint32_t own_pools(const QueuePoolsConfig& config) noexcept;

/// Writes the pools, if there are any, before the card receives.
void start_pools(const Card& card, const QueuePoolsConfig& config, const PoolCommon& common);
/// Writes what pools have of the port's other settings; at any time.
void write_pool_settings(const Card& card, const QueuePoolsConfig& config, const PoolCommon& common);

}  // namespace pollux::drivers::igb
