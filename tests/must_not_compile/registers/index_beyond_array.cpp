// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: register_index_is_out_of_range
#include "hw/intel/igb/registers.hpp"

using namespace pollux::hw::igb;

static_assert(RXDCTL::offset(15) == 0xC3E8);
#ifdef MUST_FAIL
static_assert(RXDCTL::offset(16) != 0);
#endif
