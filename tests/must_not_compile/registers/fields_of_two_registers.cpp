// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: no match for
// EXPECT Clang: invalid operands to binary expression
#include "hw/intel/igb/registers.hpp"

using namespace pollux::hw::igb;

static_assert((RXDCTL::ENABLE | RXDCTL::WTHRESH(1)).bits() == 0x02010000);
#ifdef MUST_FAIL
static_assert((RXDCTL::ENABLE | TXDCTL::WTHRESH(1)).bits() == 0x02010000);
#endif
