// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include "hw/intel/igb/registers.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::drivers::igb {

/// Reads every register that has no side effect on read.
[[nodiscard]] std::vector<RegisterValue> dump_registers(const hw::igb::Registers& regs);

}  // namespace pollux::drivers::igb
