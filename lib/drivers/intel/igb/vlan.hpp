// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>

#include "drivers/intel/igb/card.hpp"
#include "pollux/base/error.hpp"

namespace pollux::drivers::igb {

/// The VLANs that the filter lets pass, as in VFTA.
using VlanTable = std::bitset<4096>;

/// Writes the whole table, after a reset.
void write_vlans(const Card& card, const VlanTable& table);
/// Writes the part of the table that has `vlan`.
void write_vlan(const Card& card, const VlanTable& table, std::uint16_t vlan);

/// Lets the card strip VLAN tags into the receive descriptor, or leaves them in the frame.
void write_vlan_stripping(const Card& card, bool on);

/// Sets the EtherType of outer VLAN tags, or the mode without them.
void write_outer_vlan_type(const Card& card, std::optional<std::uint16_t> ether_type);

}  // namespace pollux::drivers::igb
