// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/gigabit/queues.hpp"

namespace pollux::drivers::gigabit {

// A frame that waits for its tag would leave without it; with tags inserted by software none waits. The received frames
// of a burst have the format that the queue had when it began.
Result<void> pause_queues(const GigabitCard& card, intel::QueueSet& queues, bool tags_wait, Duration limit) {
  auto ready = queues.pause_transmit(card.clock(), limit);
  if (ready && tags_wait) {
    ready = wait_for(
        card, "the transmission of all queued frames, whose VLAN tags the card inserts", limit,
        [&] { return queues.paused_finished(); }, microseconds(100));
  }
  if (ready) ready = queues.pause_receive(card.clock(), limit);
  if (!ready) resume_queues(queues);
  return ready;
}

void resume_queues(intel::QueueSet& queues) noexcept {
  queues.resume_transmit();
  queues.resume_receive();
}

}  // namespace pollux::drivers::gigabit
