// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/igb/card.hpp"

namespace pollux::drivers::igb {

/// Sets up RSS over the queues 0 to `queues` - 1 (1 to 16): TCP by addresses and ports, other IP by addresses, all
/// other frames to queue 0. With one queue, all frames go to it.
void set_up_rss(const Card& card, std::uint32_t queues);

}  // namespace pollux::drivers::igb
