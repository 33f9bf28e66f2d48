// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: constraint
#include "pollux/pollux.hpp"

using namespace pollux;

void use(Burst<32>& burst) {
  burst.take_each([](MbufPtr) {});
#ifdef MUST_FAIL
  burst.take_each([](Mbuf&) {});
#endif
}
