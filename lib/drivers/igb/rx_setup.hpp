// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>

#include "drivers/igb/card.hpp"
#include "drivers/igb/config_check.hpp"
#include "drivers/igb/ring_memory.hpp"

namespace pollux::igb {

/// Programs the receive path for `plan` and turns it on, up to the point where RDT may be written. After a reset.
/// Errors: device_removed, timeout (a queue does not report itself enabled).
[[nodiscard]] Result<void> start_receive(const Card& card, const Plan& plan, const RingMemory& rings);

/// Frames longer than `mtu` allows are dropped by the card from now on. Also while it receives.
void write_receive_limit(const Card& card, std::uint32_t mtu);

/// Turns receiving on; frames for other stations are received, or not, from now on.
void write_receive_control(const Card& card, bool promiscuous, bool all_multicast);

}  // namespace pollux::igb
