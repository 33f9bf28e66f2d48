// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: is private within this context
// EXPECT Clang: calling a private constructor
#include "pollux/pollux.hpp"

using namespace pollux;

void use(MempoolCache& cache) {
  const MbufPtr mbuf = cache.allocate();
#ifdef MUST_FAIL
  Mbuf on_the_stack;
#endif
}
