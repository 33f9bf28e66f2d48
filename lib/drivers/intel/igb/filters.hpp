// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/igb/card.hpp"
#include "pollux/net/link.hpp"

namespace pollux::drivers::igb {

/// The address in RAL and RAH 0.
[[nodiscard]] MacAddress read_own_address(const Card& card);
/// Frames to `mac` are received from now on, and no longer those to the address before it.
void write_own_address(const Card& card, const MacAddress& mac);

/// Empties every other filter: exact addresses, multicast and unicast hashes, VLANs.
void clear_filters(const Card& card);

/// The part of RCTL that says which frames pass regardless of their destination.
[[nodiscard]] hw::igb::RCTL::Setting promiscuity(bool promiscuous, bool all_multicast);

}  // namespace pollux::drivers::igb
