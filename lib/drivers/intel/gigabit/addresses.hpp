// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "drivers/intel/gigabit/card.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/placed_settings.hpp"

namespace pollux::drivers::gigabit {

/// Reads the address in RAL[0] and RAH[0].
[[nodiscard]] MacAddress read_own_address(const GigabitCard& card);
/// Writes `mac` to RAL and RAH. The card receives frames to `mac` from now on, and none to the earlier address of that
/// index. Index 0 has the port's own address. `pools`: bits of the pools that get them, if the card has pools.
void write_address(const GigabitCard& card, std::uint32_t index, const MacAddress& mac, std::uint32_t pools);
/// Ends what write_address began.
void clear_address(const GigabitCard& card, std::uint32_t index);

/// Clears all other exact addresses, and the multicast hashes.
void clear_addresses(const GigabitCard& card);

/// MTA, or a table of other addresses of the same size.
using HashTable = std::array<std::uint32_t, reg::kMulticastTableWords>;
[[nodiscard]] std::vector<std::uint16_t> hashes_of(std::span<const MacAddress> addresses);
void add_hashes(HashTable& table, std::span<const std::uint16_t> hashes);
/// Writes what differs from `before`, which the card has.
template <class R>
void write_hashes(const GigabitCard& card, const HashTable& before, const HashTable& after) {
  for (std::uint32_t word = 0; word < after.size(); ++word) {
    if (after[word] != before[word]) card.regs.write<R>(word, typename R::Value(after[word]));
  }
}

/// Gives the further addresses of a port receive addresses. Unicast addresses are compared exactly. So are multicast
/// groups if all of them fit beside these; otherwise they pass by their hash, which lets other groups pass, too.
/// Virtual functions have the receive addresses for themselves, so all addresses of their port pass by their hash.
void place_addresses(const GigabitCard& card, PlacedSettings& settings);
/// Writes the further addresses of a port without functions; nullptr: after clear_addresses. No address that stays in
/// the list is missing at any time.
void write_addresses(const GigabitCard& card, const PlacedSettings* from, const PlacedSettings& to);

/// Writes a word of the VLAN filter, as often as the card needs it.
void write_vlan_word(const GigabitCard& card, std::uint32_t word, std::uint32_t value);
/// Lets these VLANs pass the filter. Writes what differs from `before`, which the card has; nullptr: everything.
void write_vlans(const GigabitCard& card, const VlanSet* before, const VlanSet& vlans);

/// Lets the card strip VLAN tags into the receive descriptor, or leaves them in the frame.
void write_vlan_stripping(const GigabitCard& card, bool on);

}  // namespace pollux::drivers::gigabit
