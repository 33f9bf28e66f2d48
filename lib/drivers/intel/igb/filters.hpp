// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/igb/card.hpp"
#include "pollux/net/link.hpp"

namespace pollux::drivers::igb {

/// Reads the address in RAL[0] and RAH[0].
[[nodiscard]] MacAddress read_own_address(const Card& card);
/// Writes `mac` to RAL[0] and RAH[0]. The card receives frames to `mac` from now on, and none to the earlier address.
void write_own_address(const Card& card, const MacAddress& mac);

/// Clears every other filter: exact addresses, multicast and unicast hashes, VLANs.
void clear_filters(const Card& card);

/// The RCTL bits for promiscuous and all-multicast mode.
[[nodiscard]] hw::igb::RCTL::Setting promiscuity(bool promiscuous, bool all_multicast);

}  // namespace pollux::drivers::igb
