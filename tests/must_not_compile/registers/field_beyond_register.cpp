// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: register_field_is_outside_the_register
#include "hw/intel/igb/registers.hpp"

using namespace pollux::hw::igb;

struct Example : pollux::Register<Example, 0x0, pollux::Access::rw> {
  static constexpr Field LAST{28, 4};
#ifdef MUST_FAIL
  static constexpr Field BEYOND{29, 4};
#endif
};
