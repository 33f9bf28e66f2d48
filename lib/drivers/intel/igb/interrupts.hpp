// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/queue/interrupts.hpp"
#include "drivers/intel/queue/queue_set.hpp"

namespace pollux::drivers::igb {

/// Enables the MSI-X vectors of the first `count` receive queues. They stay masked until a queue is armed. Needs the
/// queues closed, and a card that was reset. Without vectors the queues have to be polled; a failure is only logged.
/// If the queues do not need vector 0, it gets the changes of the link and is unmasked.
void enable_interrupts(const Card& card, intel::QueueSet& queues, std::uint32_t count);

/// If vector 0 has sent a message, takes its causes. A cause that comes later sends a message again, so read what the
/// causes are about afterwards. Otherwise it accesses no register.
void acknowledge_interrupts(const Card& card, intel::QueueSet& queues);

}  // namespace pollux::drivers::igb
