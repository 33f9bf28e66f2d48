// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: cannot bind non-const lvalue reference
// EXPECT Clang: cannot bind to a temporary
#include "pollux/pollux.hpp"

using namespace pollux;

void use(Burst<32>& burst, MempoolCache& cache) {
  MbufPtr mbuf = cache.allocate();
  static_cast<void>(burst.push(mbuf));
#ifdef MUST_FAIL
  static_cast<void>(burst.push(cache.allocate()));
#endif
}
