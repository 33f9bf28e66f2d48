// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>

#include "drivers/intel/e1000e/card.hpp"
#include "drivers/intel/gigabit/control.hpp"

namespace pollux::drivers::e1000e {

/// Whether the card's NVM is a flash, and not an EEPROM.
[[nodiscard]] bool nvm_is_flash(const E1000eCard& card);

/// Masks every interrupt cause and clears pending ones.
void mask_interrupts(const E1000eCard& card);

/// Resets the card. Afterwards there is no DMA, interrupts are masked, and the address is the one from the NVM. Takes
/// at most about 1.2 s, if firmware holds the PHY. Errors: device_removed, timeout.
[[nodiscard]] Result<void> reset_card(const E1000eCard& card);

/// Tells the firmware whether a driver uses the port.
void announce_driver(const E1000eCard& card, bool loaded);

/// Ends all DMA of a running port: waits for queued frames to be sent if the link is up (at most 50
/// ms, until `transmit_finished` returns true), disables transmit, calls `disable_master`. Errors: those of
/// `disable_master`; DMA may then still go on.
[[nodiscard]] Result<void> quiesce(const E1000eCard& card, const std::function<bool()>& transmit_finished);

}  // namespace pollux::drivers::e1000e
