// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/igb/card.hpp"
#include "drivers/igb/config_check.hpp"
#include "drivers/igb/ring_memory.hpp"

namespace pollux::igb {

/// Programs the transmit path for `plan` and turns it on; TDT may be written afterwards. After a reset.
/// Errors: device_removed, timeout (a queue does not report itself enabled).
[[nodiscard]] Result<void> start_transmit(const Card& card, const Plan& plan, const RingMemory& rings);

}  // namespace pollux::igb
