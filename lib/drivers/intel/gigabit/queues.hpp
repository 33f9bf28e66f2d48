// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/gigabit/card.hpp"
#include "drivers/intel/queue/queue_set.hpp"

namespace pollux::drivers::gigabit {

/// Closes the queues for a change of their frames' format (PortDriver::pause). `tags_wait`: the card inserts the VLAN
/// tags of queued frames, so these are sent first. On an error the queues are open again. Errors: timeout,
/// device_removed.
[[nodiscard]] Result<void> pause_queues(const GigabitCard& card, intel::QueueSet& queues, bool tags_wait,
                                        Duration limit);
void resume_queues(intel::QueueSet& queues) noexcept;

}  // namespace pollux::drivers::gigabit
