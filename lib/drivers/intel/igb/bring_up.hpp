// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/igb/card.hpp"

namespace pollux::drivers::igb {

/// Masks every interrupt cause and clears pending ones.
void mask_interrupts(const Card& card);

/// Resets the card. Afterwards there is no DMA, no queue is enabled, interrupts are masked, the address is the one from
/// the NVM, and the link is down. Takes at most about 200 ms. Errors: device_removed, timeout (CTRL.RST does not
/// clear).
[[nodiscard]] Result<void> reset_card(const Card& card);

/// Tells the firmware whether a driver uses the port.
void announce_driver(const Card& card, bool loaded);

}  // namespace pollux::drivers::igb
