// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: this register is read-only
#include "hw/intel/igb/registers.hpp"

using namespace pollux::hw::igb;

void use(const Registers& regs) {
  regs.write<ICR>(ICR::LSC);
#ifdef MUST_FAIL
  regs.write<GPRC>(GPRC::Value(0));
#endif
}
