// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: register_field_is_outside_the_register
#include "pollux/device/register.hpp"

struct Example : pollux::Register16<Example, 0x2, pollux::Access::rw> {
  static constexpr Bit LAST{15};
#ifdef MUST_FAIL
  static constexpr Bit BEYOND{16};
#endif
};
