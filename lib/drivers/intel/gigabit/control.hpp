// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/gigabit/card.hpp"

namespace pollux::drivers::gigabit {

/// After a reset: waits until the card has read its NVM, at most 20 ms. A card that does not report it is used all the
/// same.
void wait_for_auto_read(const GigabitCard& card);

/// Stops the card's memory requests: sets CTRL.GIO_MASTER_DISABLE, then waits at most 80 ms for outstanding requests.
/// Only a reset enables them again. Errors: device_removed, timeout.
[[nodiscard]] Result<void> disable_master(const GigabitCard& card);

/// Ends the DMA of a card that does not stop its memory requests: disables bus mastering in its PCI command register,
/// then resets the function. Afterwards the card has lost all settings. Errors: those of the device's calls.
[[nodiscard]] Result<void> force_off_bus(const GigabitCard& card);

/// Ends the card's memory requests before a reset, by `force_off_bus` if it does not stop. Error device_removed.
[[nodiscard]] Result<void> leave_bus(const GigabitCard& card);

/// Turns the receive and the transmit unit off, for a reset that follows, and gives them time to stop.
void stop_units(const GigabitCard& card);

/// Sets CTRL.RST and waits until the reset has happened. Errors: device_removed, timeout.
[[nodiscard]] Result<void> reset_mac(const GigabitCard& card);

}  // namespace pollux::drivers::gigabit
