// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/common/card.hpp"
#include "hw/intel/igb/ids.hpp"
#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igb/registers.hpp"
#include "pollux/device/device.hpp"

namespace pollux::drivers::igb {

namespace reg = hw::igb;

/// The card as the steps of the driver see it.
struct Card : intel::Card<hw::igb::Registers> {
  const hw::igb::CardTraits* traits = nullptr;  ///< of its device id
  Device* device = nullptr;                     ///< configuration space, bus mastering, function level reset
};
using intel::fail_removed;
using intel::microseconds;
using intel::milliseconds;

}  // namespace pollux::drivers::igb
