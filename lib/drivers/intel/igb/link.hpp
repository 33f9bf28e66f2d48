// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/igb/card.hpp"
#include "pollux/net/link.hpp"

namespace pollux::drivers::igb {

/// Error not_supported for a port that is set to anything but its internal copper PHY.
[[nodiscard]] Result<void> check_link_mode(const Card& card);

/// Lets the link come up: the MAC follows what the PHY negotiates; flow control is off. Returns before the link is up.
/// Errors: those of `start_autonegotiation`.
[[nodiscard]] Result<void> start_link(const Card& card);

/// What STATUS says; a card that is gone has no link.
[[nodiscard]] Link read_link(const Card& card);

}  // namespace pollux::drivers::igb
