// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "drivers/intel/gigabit/addresses.hpp"
#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/igb/queue_setup.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/placed_settings.hpp"

namespace pollux::drivers::igb {

using gigabit::HashTable;
static_assert(std::tuple_size_v<HashTable> == reg::kUnicastTableWords);

/// Clears every other filter of addresses: exact ones, multicast and unicast hashes.
void clear_filters(const IgbCard& card);

/// The RCTL bits for promiscuous and all-multicast mode.
[[nodiscard]] hw::igb::RCTL::Setting promiscuity(bool promiscuous, bool all_multicast);

/// Sets the EtherType of outer VLAN tags, or the mode without them.
void write_outer_vlan_type(const IgbCard& card, std::optional<std::uint16_t> ether_type);

/// Checks `config` for a port with `queues` receive queues. Errors: invalid_argument, not_supported.
[[nodiscard]] Result<void> check_pools(const IgbCard& card, const QueuePoolsConfig& config, std::uint32_t queues);

/// The VLANs that the port receives because a pool names them. None: it receives all.
[[nodiscard]] VlanSet pool_vlans(const QueuePoolsConfig& config);
/// RAH.POOLSEL of the port's own address.
[[nodiscard]] std::uint32_t own_pools(const QueuePoolsConfig& config) noexcept;

/// Writes what switches frames between pools: DTXSWC, or the register that the card has in its place.
void write_tx_switch(const IgbCard& card, hw::igb::DTXSWC::Value value);
/// Writes what a pool, or a queue without pools, strips where VMOLR and RCTL do not decide it alone.
void write_queue_strips(const IgbCard& card, std::uint32_t queue, bool tags, bool fcs);

/// Writes the pools, if there are any, before the card receives.
void start_pools(const IgbCard& card, const Settings& settings);
/// Writes what pools have of the port's other settings; at any time.
void write_pool_settings(const IgbCard& card, const Settings& settings);
/// Enables receiving, as the settings say. `all_groups`: a virtual function receives every multicast frame.
void write_receive_control(const IgbCard& card, const Settings& settings, bool all_groups);

}  // namespace pollux::drivers::igb
