// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: only a clear-on-read register is read by read_and_clear
#include "hw/intel/igb/registers.hpp"

using namespace pollux::hw::igb;

void use(const Registers& regs) {
  static_cast<void>(regs.read<CTRL>());
#ifdef MUST_FAIL
  static_cast<void>(regs.read_and_clear<CTRL>());
#endif
}
