// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: use of deleted function
// EXPECT Clang: call to implicitly-deleted copy constructor
#include <utility>

#include "pollux/pollux.hpp"

using namespace pollux;

void use(Burst<32>& burst) {
  Burst<32> moved = std::move(burst);
#ifdef MUST_FAIL
  Burst<32> copy = moved;
#endif
}
