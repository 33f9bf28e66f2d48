// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: use of deleted function
// EXPECT Clang: selected deleted operator
#include "pollux/pollux.hpp"

using namespace pollux;

void use(Mbuf& mbuf, Mbuf& other) {
  static_cast<void>(mbuf.trim(other.length()));
#ifdef MUST_FAIL
  mbuf = other;
#endif
}
