// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: cannot bind non-const lvalue reference
// EXPECT Clang: expects an lvalue
#include "pollux/pollux.hpp"

using namespace pollux;

void use(TxQueue& queue, Burst<32>& burst) {
  queue.tx_burst(burst);
#ifdef MUST_FAIL
  queue.tx_burst(Burst<32>());
#endif
}
