// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: is private within this context
// EXPECT Clang: private destructor
#include "pollux/pollux.hpp"

using namespace pollux;

void use(MbufPtr mbuf) {
  mbuf.reset();
#ifdef MUST_FAIL
  delete mbuf.release();
#endif
}
