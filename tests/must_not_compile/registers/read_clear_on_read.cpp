// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: reading this register clears it: use read_and_clear
#include "hw/intel/igb/registers.hpp"

using namespace pollux::hw::igb;

void use(const Registers& regs) {
  static_cast<void>(regs.read_and_clear<ICR>());
#ifdef MUST_FAIL
  static_cast<void>(regs.read<ICR>());
#endif
}
