// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: cannot convert
// EXPECT Clang: no viable conversion
#include "hw/intel/igb/registers.hpp"

using namespace pollux::hw::igb;

bool up(STATUS::Value status) {
#ifdef MUST_FAIL
  return status.has(CTRL::FD);
#else
  return status.has(STATUS::LU);
#endif
}
