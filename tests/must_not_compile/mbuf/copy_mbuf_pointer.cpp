// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: use of deleted function
// EXPECT Clang: call to deleted constructor
#include <utility>

#include "pollux/pollux.hpp"

using namespace pollux;

void use(MbufPtr mbuf) {
  const MbufPtr moved = std::move(mbuf);
#ifdef MUST_FAIL
  const MbufPtr copy = moved;
#endif
}
