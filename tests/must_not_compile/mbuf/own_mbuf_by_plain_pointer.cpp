// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: is private within this context
// EXPECT Clang: private destructor
#include <utility>

#include "pollux/pollux.hpp"

using namespace pollux;

void use(MbufPtr mbuf) {
  const MbufPtr owner = std::move(mbuf);
#ifdef MUST_FAIL
  const std::unique_ptr<Mbuf> plain(mbuf.release());
#endif
}
