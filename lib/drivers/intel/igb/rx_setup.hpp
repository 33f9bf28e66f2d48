// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>

#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/queue/ring_memory.hpp"
#include "net/validated_config.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::drivers::igb {

/// Programs the receive path for `config` and turns it on, up to the point where RDT may be written. After a reset.
/// Errors: device_removed, timeout (a queue does not report itself enabled).
[[nodiscard]] Result<void> start_receive(const Card& card, const ValidatedConfig& config, const PortSettings& settings,
                                         const intel::RingMemory& rings);

/// Frames longer than `mtu` allows are dropped by the card from now on. Also while it receives.
void write_receive_limit(const Card& card, std::uint32_t mtu);

/// Turns receiving on; frames for other stations are received, or not, from now on.
void write_receive_control(const Card& card, bool promiscuous, bool all_multicast);

}  // namespace pollux::drivers::igb
