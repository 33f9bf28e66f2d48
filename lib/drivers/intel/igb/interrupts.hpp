// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/queue/interrupts.hpp"
#include "drivers/intel/queue/queue_set.hpp"

namespace pollux::drivers::igb {

/// Enables the MSI-X vectors of the first `count` receive queues. They stay masked until a queue is armed. Needs the
/// queues closed, and a card that was reset. Without vectors the queues have to be polled; a failure is only logged.
void enable_interrupts(const Card& card, intel::QueueSet& queues, std::uint32_t count);

}  // namespace pollux::drivers::igb
