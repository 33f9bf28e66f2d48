// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/igb/queue_setup.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/placed_settings.hpp"

namespace pollux::drivers::igb {

/// Reads the address in RAL[0] and RAH[0].
[[nodiscard]] MacAddress read_own_address(const IgbCard& card);
/// Writes `mac` to RAL and RAH. The card receives frames to `mac` from now on, and none to the earlier address of that
/// index. Index 0 has the port's own address. `pools`: bits of the pools that get them, if the card has pools.
void write_address(const IgbCard& card, std::uint32_t index, const MacAddress& mac, std::uint32_t pools);
/// Ends what write_address began.
void clear_address(const IgbCard& card, std::uint32_t index);

/// Clears every other filter of addresses: exact ones, multicast and unicast hashes.
void clear_filters(const IgbCard& card);

/// MTA or UTA.
using HashTable = std::array<std::uint32_t, reg::kMulticastTableWords>;
static_assert(reg::kMulticastTableWords == reg::kUnicastTableWords);
[[nodiscard]] std::vector<std::uint16_t> hashes_of(std::span<const MacAddress> addresses);
void add_hashes(HashTable& table, std::span<const std::uint16_t> hashes);
/// Writes what differs from `before`, which the card has.
template <class R>
void write_hashes(const IgbCard& card, const HashTable& before, const HashTable& after) {
  for (std::uint32_t word = 0; word < after.size(); ++word) {
    if (after[word] != before[word]) card.regs.write<R>(word, typename R::Value(after[word]));
  }
}

/// Gives the further addresses of a port receive addresses. Unicast addresses are compared exactly. So are multicast
/// groups if all of them fit beside these; otherwise they pass by their hash, which lets other groups pass, too.
/// Virtual functions have the receive addresses for themselves, so all addresses of their port pass by their hash.
void place_addresses(const IgbCard& card, PlacedSettings& settings);
/// Writes the further addresses of a port without functions; nullptr: after clear_filters. No address that stays in
/// the list is missing at any time.
void write_addresses(const IgbCard& card, const PlacedSettings* from, const PlacedSettings& to);

/// The RCTL bits for promiscuous and all-multicast mode.
[[nodiscard]] hw::igb::RCTL::Setting promiscuity(bool promiscuous, bool all_multicast);

/// Lets these VLANs pass the filter. Writes what differs from `before`, which the card has; nullptr: everything.
void write_vlans(const IgbCard& card, const VlanSet* before, const VlanSet& vlans);

/// Lets the card strip VLAN tags into the receive descriptor, or leaves them in the frame.
void write_vlan_stripping(const IgbCard& card, bool on);

/// Sets the EtherType of outer VLAN tags, or the mode without them.
void write_outer_vlan_type(const IgbCard& card, std::optional<std::uint16_t> ether_type);

/// Checks `config` for a port with `queues` receive queues. Errors: invalid_argument, not_supported.
[[nodiscard]] Result<void> check_pools(const IgbCard& card, const QueuePoolsConfig& config, std::uint32_t queues);

/// The VLANs that the port receives because a pool names them. None: it receives all.
[[nodiscard]] VlanSet pool_vlans(const QueuePoolsConfig& config);
/// RAH.POOLSEL of the port's own address.
[[nodiscard]] std::uint32_t own_pools(const QueuePoolsConfig& config) noexcept;

/// Writes the pools, if there are any, before the card receives.
void start_pools(const IgbCard& card, const Settings& settings);
/// Writes what pools have of the port's other settings; at any time.
void write_pool_settings(const IgbCard& card, const Settings& settings);
/// Enables receiving, as the settings say. `all_groups`: a virtual function receives every multicast frame.
void write_receive_control(const IgbCard& card, const Settings& settings, bool all_groups);

}  // namespace pollux::drivers::igb
