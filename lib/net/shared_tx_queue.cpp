// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/shared_tx_queue.hpp"

#include <thread>
#include <utility>

namespace pollux {

Result<SharedTxQueue> SharedTxQueue::create(TxQueue& queue, const Mempool& pool) {
  MempoolCache cache(pool);
  if (auto used = queue.use_cache(cache); !used) return pass_on(std::move(used));
  return SharedTxQueue(queue, std::move(cache));
}

void SharedTxQueue::wait() noexcept {
  constexpr unsigned kSpins = 100;
  for (unsigned spins = 0;; ++spins) {
    // Reads until the lock looks free: only then is a write worth the cache line.
    if (!locked_.load(std::memory_order_relaxed) && try_lock()) return;
    if (spins >= kSpins) std::this_thread::yield();
  }
}

}  // namespace pollux
