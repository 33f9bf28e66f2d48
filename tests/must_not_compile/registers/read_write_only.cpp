// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: this register is write-only
#include "hw/intel/igb/registers.hpp"

using namespace pollux::hw::igb;

void use(const Registers& regs) {
  regs.write<IMC>(IMC::LSC);
#ifdef MUST_FAIL
  static_cast<void>(regs.read<IMC>());
#endif
}
