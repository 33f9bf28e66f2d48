// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: no matching function for call to
// EXPECT Clang: no matching member function for call to
#include <utility>

#include "pollux/pollux.hpp"

using namespace pollux;

void use(TxQueue& queue, Burst<32>& burst) {
  queue.tx_burst(burst);
#ifdef MUST_FAIL
  queue.tx_burst(std::as_const(burst));
#endif
}
