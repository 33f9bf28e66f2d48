// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: register_field_value_does_not_fit
#include "pollux/device/register.hpp"

struct Example : pollux::Register8<Example, 0x1, pollux::Access::rw> {};

constexpr Example::Value kWidest{0xFF};
#ifdef MUST_FAIL
constexpr Example::Value kTooWide{0x100};
#endif
