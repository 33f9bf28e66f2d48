// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/igb/card.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/loopback.hpp"

namespace pollux::drivers::igb {

/// Error not_supported if the port is not set to its internal copper PHY.
[[nodiscard]] Result<void> check_link_mode(const Card& card);

/// Starts the link. Takes at most about 200 ms. During a management session of the firmware, it uses the existing
/// link and does not touch the PHY. The MAC uses the speed and duplex that the PHY negotiates; flow control is off.
/// The PHY advertises the bits `pause`. Returns before the link is up. Errors: those of `reset_phy` and
/// `start_autonegotiation`.
[[nodiscard]] Result<void> start_link(const Card& card, LoopbackMode loopback, std::uint16_t pause);

/// Negotiates again, with other bits `pause`. Does nothing while a management session or a loopback holds the link.
/// Errors: those of `start_autonegotiation`.
[[nodiscard]] Result<void> restart_link(const Card& card, LoopbackMode loopback, std::uint16_t pause);

/// Reads the link from STATUS. A removed card has no link.
[[nodiscard]] Link read_link(const Card& card);

}  // namespace pollux::drivers::igb
