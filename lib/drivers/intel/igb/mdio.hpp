// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/igb/card.hpp"

namespace pollux::drivers::igb {

/// A register of a PHY on the management bus.
struct MdioRegister {
  std::uint32_t address;   ///< of the PHY, 0 to 31
  std::uint32_t page = 0;  ///< of the registers from 16 on; selected as the internal PHY does it
  std::uint32_t number = 0;
};

/// Access to one register by MDIC. Hold Shared::phy during the call. Errors: device_removed, timeout (MDIC.READY),
/// device_fault (MDIC.ERROR, or an answer for another register).
[[nodiscard]] Result<std::uint16_t> read_mdio(const Card& card, const MdioRegister& which);
[[nodiscard]] Result<void> write_mdio(const Card& card, const MdioRegister& which, std::uint16_t value);

/// The same for register `number` of the internal PHY; from 16 on, of page 0.
[[nodiscard]] Result<std::uint16_t> read_phy(const Card& card, std::uint32_t number);
[[nodiscard]] Result<void> write_phy(const Card& card, std::uint32_t number, std::uint16_t value);
/// Changes bits of such a register.
[[nodiscard]] Result<void> modify_phy(const Card& card, std::uint32_t number, unsigned clear, unsigned set);

}  // namespace pollux::drivers::igb
