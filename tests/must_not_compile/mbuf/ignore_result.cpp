// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: ignoring return value
#include "pollux/pollux.hpp"

using namespace pollux;

#pragma GCC diagnostic error "-Wunused-result"

void use(Port& port) {
  static_cast<void>(port.start());
#ifdef MUST_FAIL
  port.start();
#endif
}
