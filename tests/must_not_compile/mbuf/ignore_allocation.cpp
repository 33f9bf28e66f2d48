// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: ignoring return value
#include "pollux/pollux.hpp"

using namespace pollux;

#pragma GCC diagnostic error "-Wunused-result"

void use(MempoolCache& cache) {
  static_cast<void>(cache.allocate());
#ifdef MUST_FAIL
  cache.allocate();
#endif
}
