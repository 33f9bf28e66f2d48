// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "drivers/intel/igb/card.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/settings.hpp"

namespace pollux::drivers::igb {

/// Reads the address in RAL[0] and RAH[0].
[[nodiscard]] MacAddress read_own_address(const Card& card);
/// Writes `mac` to RAL and RAH. The card receives frames to `mac` from now on, and none to the earlier address of that
/// index. Index 0 has the port's own address. `pools`: bits of the pools that get them, if the card has pools.
void write_address(const Card& card, std::uint32_t index, const MacAddress& mac, std::uint32_t pools);
/// Ends what write_address began.
void clear_address(const Card& card, std::uint32_t index);

/// Clears every other filter of addresses: exact ones, multicast and unicast hashes.
void clear_filters(const Card& card);

/// Sets the bits of these hashes in a table of hashes, such as MTA.
void add_hashes(std::span<std::uint32_t> table, std::span<const std::uint16_t> hashes);

/// The RCTL bits for promiscuous and all-multicast mode.
[[nodiscard]] hw::igb::RCTL::Setting promiscuity(bool promiscuous, bool all_multicast);

/// Lets these VLANs pass the filter. Writes what differs from `before`, which the card has; nullptr: everything.
void write_vlans(const Card& card, const VlanSet* before, const VlanSet& vlans);

/// Lets the card strip VLAN tags into the receive descriptor, or leaves them in the frame.
void write_vlan_stripping(const Card& card, bool on);

/// Sets the EtherType of outer VLAN tags, or the mode without them.
void write_outer_vlan_type(const Card& card, std::optional<std::uint16_t> ether_type);

}  // namespace pollux::drivers::igb
