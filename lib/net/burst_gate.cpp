// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/burst_gate.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>

namespace pollux {

void barrier_on_all_threads(Clock& clock) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  // The registration may be repeated and is cheap (membarrier(2)), so no state records it.
  if (::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 &&
      ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0) {
    return;
  }
  clock.sleep_for(std::chrono::milliseconds(1));
}

}  // namespace pollux
