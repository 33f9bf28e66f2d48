// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/queue/ring_memory.hpp"
#include "net/validated_config.hpp"

namespace pollux::drivers::igb {

/// Programs the transmit queues for `config` and enables sending. TDT may be written afterwards. Call it after a reset.
/// Errors: device_removed, timeout (a queue does not report itself enabled).
[[nodiscard]] Result<void> start_transmit(const Card& card, const ValidatedConfig& config,
                                          const intel::RingMemory& rings);

}  // namespace pollux::drivers::igb
