// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "hw/intel/gigabit/registers_control.hpp"
#include "hw/intel/gigabit/registers_filter.hpp"
#include "hw/intel/gigabit/registers_statistics.hpp"
#include "hw/intel/gigabit/registers_system.hpp"
#include "pollux/device/register.hpp"

/// The registers that Intel's gigabit cards have in common, at the same offsets. A card's own folder declares the
/// others, and lists all of them.
namespace pollux::hw::gigabit {

/// Access to a card's registers. STATUS is read to flush writes and to detect removal: it has no side effect and is
/// never all ones on a live card.
using Registers = RegisterWindow<STATUS>;

}  // namespace pollux::hw::gigabit
