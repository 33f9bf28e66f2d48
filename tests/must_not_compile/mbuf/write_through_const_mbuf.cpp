// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: assignment of read-only location
// EXPECT Clang: cannot assign to return value
#include "pollux/pollux.hpp"

using namespace pollux;

void use(const Mbuf& mbuf, Mbuf& writable) {
  writable.bytes()[0] = mbuf.bytes()[0];
#ifdef MUST_FAIL
  mbuf.bytes()[0] = 0;
#endif
}
