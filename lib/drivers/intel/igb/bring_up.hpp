// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>

#include "drivers/intel/gigabit/control.hpp"
#include "drivers/intel/igb/card.hpp"

namespace pollux::drivers::igb {

/// Masks every interrupt cause and clears pending ones.
void mask_interrupts(const IgbCard& card);

/// Resets the card. Afterwards there is no DMA, no queue is enabled, interrupts are masked, the address is the one from
/// the NVM, and the link is down. Takes at most about 200 ms. Errors: device_removed, timeout (CTRL.RST does not
/// clear).
[[nodiscard]] Result<void> reset_units(const IgbCard& card);

/// The same, and repairs the PLL of a card that has not configured it. Errors: those, and device_fault (it cannot be
/// repaired), those of the PHY and of the device's power states.
[[nodiscard]] Result<void> reset_card(const IgbCard& card);

/// Tells the firmware whether a driver uses the port.
void announce_driver(const IgbCard& card, bool loaded);

/// Ends all DMA of a running port in this order: disables receive, waits for queued frames to be sent if the link is up
/// (at most 50 ms, until `transmit_finished` returns true), disables transmit and the queues, calls `disable_master`.
/// Errors: those of `disable_master`; DMA may then still go on.
[[nodiscard]] Result<void> quiesce(const IgbCard& card, std::uint32_t rx_queues, std::uint32_t tx_queues,
                                   const std::function<bool()>& transmit_finished);

}  // namespace pollux::drivers::igb
