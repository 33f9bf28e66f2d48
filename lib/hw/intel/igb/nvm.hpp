// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "hw/intel/gigabit/nvm.hpp"

/// The 82576's NVM is the family's.
namespace pollux::hw::igb {

namespace eeprom = gigabit::eeprom;
namespace nvm = gigabit::nvm;

}  // namespace pollux::hw::igb
