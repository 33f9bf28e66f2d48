// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>

#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/igb/rss.hpp"
#include "drivers/intel/queue/ring_memory.hpp"
#include "net/validated_config.hpp"
#include "pollux/net/loopback.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::drivers::igb {

/// Programs the receive queues for `config` and enables receiving. RDT may be written afterwards. Call it after a
/// reset. Errors: device_removed, timeout (a queue does not report itself enabled).
[[nodiscard]] Result<void> start_receive(const Card& card, const ValidatedConfig& config, const PortSettings& settings,
                                         const intel::RingMemory& rings, LoopbackMode loopback, RssControl& rss);

/// The settings of a receive queue besides its ring.
[[nodiscard]] intel::RxQueueFormat rx_format(const ValidatedConfig& config, std::uint32_t queue);

/// Makes the card drop frames longer than `mtu` allows. May be called while the card receives.
void write_receive_limit(const Card& card, std::uint32_t mtu);

/// Enables receiving with the given promiscuous, all-multicast and loopback modes.
void write_receive_control(const Card& card, bool promiscuous, bool all_multicast, LoopbackMode loopback);

}  // namespace pollux::drivers::igb
