// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: use of deleted function
// EXPECT Clang: call to deleted constructor
#include "pollux/pollux.hpp"

using namespace pollux;

void use(MempoolCache& cache, MbufPtr mbuf) {
  cache.free(cache.allocate());
#ifdef MUST_FAIL
  cache.free(mbuf);
#endif
}
