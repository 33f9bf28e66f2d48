// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: a doorbell has 32 bits
#include "hw/intel/igb/registers.hpp"

struct Narrow : pollux::Register16<Narrow, 0x2, pollux::Access::wo> {};

pollux::Doorbell use(const pollux::hw::igb::Registers& regs) {
  auto doorbell = regs.doorbell<pollux::hw::igb::TDT>(0);
#ifdef MUST_FAIL
  doorbell = regs.doorbell<Narrow>(0);
#endif
  return doorbell;
}
