// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "drivers/intel/igb/card.hpp"
#include "pollux/net/settings.hpp"

namespace pollux::drivers::igb {

/// Lets these VLANs pass the filter. Writes what differs from `before`, which the card has; nullptr: everything.
void write_vlans(const Card& card, const VlanSet* before, const VlanSet& vlans);

/// Lets the card strip VLAN tags into the receive descriptor, or leaves them in the frame.
void write_vlan_stripping(const Card& card, bool on);

/// Sets the EtherType of outer VLAN tags, or the mode without them.
void write_outer_vlan_type(const Card& card, std::optional<std::uint16_t> ether_type);

}  // namespace pollux::drivers::igb
