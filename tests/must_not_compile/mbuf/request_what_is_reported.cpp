// SPDX-License-Identifier: BSD-3-Clause
// EXPECT GNU: cannot convert
// EXPECT Clang: from incompatible type
#include "pollux/pollux.hpp"

using namespace pollux;

void request(TxOffload& offload) {
  offload.flags = TxOffload::insert_vlan;
#ifdef MUST_FAIL
  offload.flags = RxOffload::vlan;
#endif
}
