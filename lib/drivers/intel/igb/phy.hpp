// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/igb/card.hpp"

namespace pollux::drivers::igb {

/// Access to one register of the internal PHY, `number` 0 to 31; from 16 on, of page 0. Hold Shared::phy during the
/// call. Errors: device_removed, timeout (MDIC.READY), device_fault (MDIC.ERROR, or an answer for another register).
[[nodiscard]] Result<std::uint16_t> read_phy(const Card& card, std::uint32_t number);
[[nodiscard]] Result<void> write_phy(const Card& card, std::uint32_t number, std::uint16_t value);

/// Resets the PHY and waits until the card has configured it from its NVM: at most about 200 ms. Acquires Shared::phy
/// itself. Errors: device_removed, timeout (Shared::phy).
[[nodiscard]] Result<void> reset_phy(const Card& card);

/// Lets the PHY send frames back to the MAC at 1000 Mb/s, without a link partner. Call it after `reset_phy`. Acquires
/// Shared::phy itself. Errors: as above.
[[nodiscard]] Result<void> loop_phy(const Card& card);

/// Sets the PHY up and starts autonegotiation. Advertises every mode but 1000 Mb/s half duplex, and the bits `pause`.
/// Acquires Shared::phy itself. Errors: as above; device_fault if no PHY answers.
[[nodiscard]] Result<void> start_autonegotiation(const Card& card, std::uint16_t pause);

/// The link partner's abilities (register 5), which are known once the link is up. Acquires Shared::phy itself. Errors:
/// as above.
[[nodiscard]] Result<std::uint16_t> partner_abilities(const Card& card);

}  // namespace pollux::drivers::igb
