// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: use of deleted function
// EXPECT Clang: call to deleted constructor
#include "pollux/pollux.hpp"

using namespace pollux;

void use(Mbuf& mbuf) {
  Mbuf& same = mbuf;
  static_cast<void>(same);
#ifdef MUST_FAIL
  Mbuf copy = mbuf;
#endif
}
