// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: no matching function for call
// EXPECT Clang: no matching member function for call
#include "pollux/pollux.hpp"

using namespace pollux;

void use(Burst<32>& burst, DropCounter& reason) {
  burst.drop(reason);
#ifdef MUST_FAIL
  burst.drop();
#endif
}
