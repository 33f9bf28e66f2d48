// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: register_field_value_does_not_fit
#include "hw/intel/igb/registers.hpp"

using namespace pollux::hw::igb;

constexpr RXDCTL::Value kWidest = RXDCTL::WTHRESH(31);
#ifdef MUST_FAIL
constexpr RXDCTL::Value kTooWide = RXDCTL::WTHRESH(32);
#endif
