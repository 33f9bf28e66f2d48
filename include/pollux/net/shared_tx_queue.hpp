// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/tx_queue.hpp"

namespace pollux {

/// A transmit queue that several threads send on. A spinlock admits one burst at a time; a queue of its own for each
/// thread costs less. The lock is held for one call of the queue, so a stop of the port waits for it as for a burst.
///
/// The queue frees sent mbufs to a cache that belongs to this object, since a thread's cache must not be used by
/// others. Mbufs of `pool` take the fast path. `Port::configure` and `restart_tx` give the queue the configuration's
/// cache again, so create a new object after them.
/// Ownership: borrows the queue, which must outlive it. While it exists, nobody else sends on the queue.
/// Thread rule: any thread calls the functions below; each burst belongs to the thread that sends it.
class POLLUX_API SharedTxQueue {
 public:
  /// Errors: those of TxQueue::use_cache, such as invalid_argument if `pool` belongs to another Context.
  [[nodiscard]] static Result<SharedTxQueue> create(TxQueue& queue, const Mempool& pool);

  /// Moved before other threads use it.
  SharedTxQueue(SharedTxQueue&& other) noexcept : queue_(other.queue_), cache_(std::move(other.cache_)) {}
  SharedTxQueue& operator=(SharedTxQueue&&) = delete;

  /// As TxQueue::tx_burst, after the bursts of other threads: takes frames from the front of `burst` until the ring is
  /// full. The rest stays in the burst.
  template <std::uint32_t Capacity>
  std::uint32_t tx_burst(Burst<Capacity>& burst) noexcept {
    lock();
    const std::uint32_t taken = queue_->tx_burst(burst);
    unlock();
    return taken;
  }
  /// As `tx_burst`, but takes nothing and returns 0 if another thread is sending. Never waits.
  template <std::uint32_t Capacity>
  std::uint32_t try_tx_burst(Burst<Capacity>& burst) noexcept {
    if (!try_lock()) return 0;
    const std::uint32_t taken = queue_->tx_burst(burst);
    unlock();
    return taken;
  }
  /// As TxQueue::tx_done_cleanup.
  std::uint32_t tx_done_cleanup() noexcept {
    lock();
    const std::uint32_t slots = queue_->tx_done_cleanup();
    unlock();
    return slots;
  }

 private:
  SharedTxQueue(TxQueue& queue, MempoolCache cache) noexcept : queue_(&queue), cache_(std::move(cache)) {}

  [[nodiscard]] bool try_lock() noexcept { return !locked_.exchange(true, std::memory_order_acquire); }
  void lock() noexcept {
    if (!try_lock()) wait();
  }
  void unlock() noexcept { locked_.store(false, std::memory_order_release); }
  /// Spins, and gives up the processor now and then, so that a thread that holds the lock and was interrupted can run.
  void wait() noexcept;

  TxQueue* queue_;
  MempoolCache cache_;
  alignas(64) std::atomic<bool> locked_{false};
};

}  // namespace pollux
