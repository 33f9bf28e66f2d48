// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: only a register that reads back what was written can be modified
#include "hw/intel/igb/registers.hpp"

using namespace pollux::hw::igb;

void use(const Registers& regs) {
  regs.write<WUS>(WUS::MAG);
#ifdef MUST_FAIL
  regs.modify<WUS>(WUS::MAG);
#endif
}
