// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: cannot bind non-const lvalue reference
// EXPECT Clang: cannot bind to a temporary
#include "pollux/pollux.hpp"

using namespace pollux;

void use(Mbuf& mbuf, MempoolCache& cache) {
  MbufPtr more = cache.allocate();
  static_cast<void>(mbuf.chain(more));
#ifdef MUST_FAIL
  static_cast<void>(mbuf.chain(cache.allocate()));
#endif
}
