// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: no matching function for call to
// EXPECT Clang: no matching member function for call to
#include "hw/intel/igb/registers.hpp"

using namespace pollux::hw::igb;

void use(const Registers& regs) {
  regs.write<CTRL>(CTRL::Value(0x40));
#ifdef MUST_FAIL
  regs.write<CTRL>(0x40u);
#endif
}
