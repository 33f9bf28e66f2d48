// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: a register lies at a multiple of its width
#include "pollux/device/register.hpp"

struct Example : pollux::Register16<Example, 0x2, pollux::Access::rw> {};
constexpr auto kGood = Example::offset();
#ifdef MUST_FAIL
struct Unaligned : pollux::Register16<Unaligned, 0x3, pollux::Access::rw> {};
constexpr auto kBad = Unaligned::offset();
#endif
