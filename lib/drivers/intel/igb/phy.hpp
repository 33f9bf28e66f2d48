// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/igb/card.hpp"

namespace pollux::drivers::igb {

/// One access to the internal PHY; `number` 0 to 31. Hold Shared::phy meanwhile.
/// Errors: device_removed, timeout (MDIC.READY), device_fault (MDIC.ERROR, or an answer for another register).
[[nodiscard]] Result<std::uint16_t> read_phy(const Card& card, std::uint32_t number);
[[nodiscard]] Result<void> write_phy(const Card& card, std::uint32_t number, std::uint16_t value);

/// Wakes the PHY up and starts autonegotiation of everything but 1000 Mb/s half duplex and pause frames: a polled port
/// drops by name what it cannot take rather than stopping its neighbour. Takes Shared::phy itself. Errors: as above;
/// device_fault where no PHY answers.
[[nodiscard]] Result<void> start_autonegotiation(const Card& card);

}  // namespace pollux::drivers::igb
