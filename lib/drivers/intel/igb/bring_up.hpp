// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/igb/card.hpp"

namespace pollux::drivers::igb {

/// Masks every interrupt cause and forgets those that are pending.
void mask_interrupts(const Card& card);

/// Puts the card into the state it has after power-up: no DMA, no queue enabled, interrupts masked, addresses as the
/// NVM gives them, link down. Bounded by about 200 ms. Errors: device_removed, timeout (CTRL.RST does not clear).
[[nodiscard]] Result<void> reset_card(const Card& card);

/// Tells firmware that a driver has the port, or has left it.
void announce_driver(const Card& card, bool loaded);

}  // namespace pollux::drivers::igb
