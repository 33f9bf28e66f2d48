// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: ignoring return value
#include "pollux/pollux.hpp"

using namespace pollux;

#pragma GCC diagnostic error "-Wunused-result"

void use(Burst<32>& burst, MbufPtr& mbuf) {
  static_cast<void>(burst.push(mbuf));
#ifdef MUST_FAIL
  burst.push(mbuf);
#endif
}
