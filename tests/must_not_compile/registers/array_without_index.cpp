// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: this register is an array: say which index
#include "hw/intel/igb/registers.hpp"

using namespace pollux::hw::igb;

void use(const Registers& regs) {
  static_cast<void>(regs.read<RXDCTL>(3));
#ifdef MUST_FAIL
  static_cast<void>(regs.read<RXDCTL>());
#endif
}
