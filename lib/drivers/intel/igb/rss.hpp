// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/igb/card.hpp"

namespace pollux::drivers::igb {

/// Spreads received frames over queues 0 to `queues` - 1 (1 to 16): TCP by addresses and ports, other IP by addresses,
/// all else to queue 0. With one queue everything goes there.
void spread_over_queues(const Card& card, std::uint32_t queues);

}  // namespace pollux::drivers::igb
