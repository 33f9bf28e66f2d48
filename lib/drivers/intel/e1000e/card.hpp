// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/gigabit/card.hpp"
#include "hw/intel/e1000e/ids.hpp"
#include "hw/intel/e1000e/registers.hpp"

namespace pollux::drivers::e1000e {

namespace reg = hw::e1000e;

/// The card as the steps of the driver see it.
struct E1000eCard : gigabit::GigabitCard {
  const hw::e1000e::CardTraits* traits = nullptr;
};
using intel::fail_removed;
using intel::microseconds;
using intel::milliseconds;

}  // namespace pollux::drivers::e1000e
