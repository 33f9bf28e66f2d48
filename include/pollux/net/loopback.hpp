// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace pollux {

/// Where sent frames turn back to the port's own receive queues. None of them reaches the wire, and the link partner
/// has no link while the PHY loops.
enum class LoopbackMode : std::uint8_t {
  none,  ///< frames go to the wire
  mac,   ///< in the MAC; needs a link. Not every card has it, and none says so: frames then do not come back
  phy,   ///< in the PHY, at 1000 Mb/s. Needs no cable
};

}  // namespace pollux
