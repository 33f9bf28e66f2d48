// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: this register is read-only
#include "hw/intel/igb/registers.hpp"

using namespace pollux::hw::igb;

void use(const Registers& regs) {
  static_cast<void>(regs.read<STATUS>());
#ifdef MUST_FAIL
  regs.write<STATUS>(STATUS::LU);
#endif
}
