// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "hw/intel/features.hpp"
#include "hw/intel/gigabit/nvm.hpp"
#include "hw/intel/gigabit/phy.hpp"
#include "pollux/device/register.hpp"

namespace pollux::hw::gigabit {

/// Who may use what firmware and the other port of a package also use, as the card arbitrates it.
enum class Ownership : std::uint8_t {
  sw_fw_sync,  ///< a bit for each resource and each side, under the semaphores of SWSM
  mdio,        ///< one bit for the PHY and the NVM, EXTCNF_CTRL.MDIO_SOFTWARE
};

/// The properties in which cards of the family differ. The defaults are those of an 82576 for copper.
struct FamilyTraits {
  std::uint32_t exact_addresses = 24;  ///< RAL and RAH; index 0 is the port's own
  Ownership ownership = Ownership::sw_fw_sync;
  std::uint32_t vlan_table_writes = 1;  ///< [E-VFTA] how often a word of VFTA is written
  bool drops_need_write = false;        ///< [E-RQDPC] a read does not clear RQDPC, a write of zero does
  phy::PhyTraits phy = {};              ///< of a copper port
  nvm::NvmTraits nvm = {};
  intel::CardFeatures features = {};
  bool has_link_mode = true;       ///< CTRL_EXT.LINK_MODE
  std::uint32_t wake_control = 0;  ///< bits of CTRL for a card that waits for wake-up events
};

/// The ownership of the management bus, which cards without SW_FW_SYNC have. A write sets a side's bit only while the
/// other sides' are clear. Linux e1000e, 82571.c, e1000_get_hw_semaphore_82573, and defines.h.
struct EXTCNF_CTRL : Register<EXTCNF_CTRL, 0x0F00, Access::rw> {
  static constexpr Bit MDIO_SOFTWARE{5}, MDIO_HARDWARE{6}, MDIO_FIRMWARE{7};
  POLLUX_FIELDS(MDIO_SOFTWARE, MDIO_HARDWARE, MDIO_FIRMWARE);
};

}  // namespace pollux::hw::gigabit
