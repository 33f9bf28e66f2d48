// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: cannot convert
// EXPECT Clang: cannot bind to a value of unrelated type
#include "pollux/pollux.hpp"

using namespace pollux;

void use(Burst<32>& burst, Burst<32>& other) {
  MbufPtr mbuf = other.pop();
  static_cast<void>(burst.push(mbuf));
#ifdef MUST_FAIL
  static_cast<void>(burst.push(other[0]));
#endif
}
