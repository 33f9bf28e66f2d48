// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/e1000e/card.hpp"
#include "drivers/intel/queue/queue_set.hpp"
#include "drivers/intel/queue/ring_memory.hpp"
#include "net/queue_caches.hpp"

namespace pollux::drivers::e1000e {

/// That of RCTL without LPE.
inline constexpr std::uint32_t kUsualMtu = 1500;

/// Programs the transmit ring and enables transmit. Errors: device_removed, device_fault.
[[nodiscard]] Result<void> start_transmit(const E1000eCard& card, const intel::Ring& ring);

/// Programs the receive ring, for extended descriptors. Errors: device_removed, device_fault.
[[nodiscard]] Result<void> program_receive(const E1000eCard& card, const intel::Ring& ring);

/// Hands the filled ring to the card, which receives. Errors: device_removed, device_fault.
[[nodiscard]] Result<void> arm_receive(const E1000eCard& card, intel::QueueSet& queues);

/// Lets the card receive, as the settings say.
void write_receive_control(const E1000eCard& card, const PlacedSettings& settings);

}  // namespace pollux::drivers::e1000e
