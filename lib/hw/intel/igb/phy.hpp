// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "hw/intel/gigabit/phy.hpp"

/// The 82576's PHY is the family's first, IGP03.
namespace pollux::hw::igb {

namespace phy = gigabit::phy;

}  // namespace pollux::hw::igb
