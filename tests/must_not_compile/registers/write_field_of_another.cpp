// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: no matching function for call to
// EXPECT Clang: no matching member function for call to
#include "hw/intel/igb/registers.hpp"

using namespace pollux::hw::igb;

void use(const Registers& regs) {
  regs.write<RXDCTL>(0, RXDCTL::ENABLE);
#ifdef MUST_FAIL
  regs.write<RXDCTL>(0, TXDCTL::ENABLE);
#endif
}
