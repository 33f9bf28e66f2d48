// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: use of deleted function
// EXPECT Clang: call to implicitly-deleted copy constructor
#include <utility>

#include "pollux/pollux.hpp"

using namespace pollux;

void use(Port& port) {
  Port moved = std::move(port);
#ifdef MUST_FAIL
  Port copy = moved;
#endif
}
