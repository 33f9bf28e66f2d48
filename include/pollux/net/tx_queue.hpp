// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/burst_gate.hpp"
#include "pollux/net/drops.hpp"
#include "pollux/net/queue_observer.hpp"

namespace pollux {

/// The state of a transmit descriptor.
enum class TxDescriptorStatus : std::uint8_t {
  free,     ///< can be written
  pending,  ///< the card has not reported it sent
  sent,     ///< sent, but its buffer has not been freed yet
};

/// Frames that a queue whose card does not count them has sent. Written by the sending thread, read by any thread.
struct TxSent {
  std::uint64_t packets = 0;  ///< frames
  std::uint64_t bytes = 0;    ///< without FCS
};

/// The constant parameters of a transmit queue.
struct TxQueueLimits {
  std::uint32_t min_frame = 0;  ///< bytes without FCS
  std::uint32_t max_frame = 0;  ///< bytes without FCS
  std::uint32_t offloads = 0;   ///< OffloadLimits::tx_flags
};

/// A transmit queue of a port. Drivers derive from TxQueueDriver.
/// Ownership: the port's. A reference stays valid until the port is closed; while the port is stopped, bursts take
/// nothing.
/// Thread rule: one thread at a time sends on a queue. Another thread may start and stop the port meanwhile.
class POLLUX_API alignas(64) TxQueue {
 public:
  /// The driver's function: takes frames from the front, which it then owns, and returns their number.
  using BurstFunction = std::uint32_t(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept;

  TxQueue(const TxQueue&) = delete;
  TxQueue& operator=(const TxQueue&) = delete;

  /// Takes frames from the front of `burst`, in order, until the ring is full; the rest stays in the burst. Returns the
  /// number taken. Frames that cannot be sent (too long, too short, too many segments, memory that the card cannot
  /// access) are taken, too: they are freed and counted in Stats::drops. An empty burst only frees what was sent, as
  /// `tx_done_cleanup` does. Mbufs of another Context are dropped as `unreachable`, and checked builds report them.
  template <std::uint32_t Capacity>
  std::uint32_t tx_burst(Burst<Capacity>& burst) noexcept {
    const std::uint32_t taken = gate_.call(*this, static_cast<Mbuf* const*>(burst.mbufs_), burst.size_);
    burst.forget_front(taken);
    return taken;
  }
  /// The same for an array of `count` mbufs that the caller owns, of which kMaxBurst are taken at most: for bindings to
  /// other languages. The queue owns the first ones, as many as the result says, and the caller the rest. The array
  /// does not change: what was taken must not be used again, and is a misuse, which checked builds report, as a null
  /// pointer is.
  std::uint32_t tx_burst(Mbuf* const* mbufs, std::uint32_t count) noexcept {
    return gate_.call(*this, mbufs, count < kMaxBurst ? count : kMaxBurst);
  }

  /// Frees every buffer that the card has sent and returns the number of freed slots. Bursts do this by themselves, in
  /// groups; call it for a queue that has nothing to send.
  std::uint32_t tx_done_cleanup() noexcept { return gate_.call(*this, nullptr, 0U); }

  /// Frees sent mbufs of `cache`'s pool to `cache` from now on. Call it from the sending thread, or before sending
  /// starts.
  [[nodiscard]] virtual Result<void> use_cache(const MempoolCache& cache) = 0;
  /// The state of the descriptor that is `offset` after the next one to be written. The oldest in flight is at ring
  /// size less `in_flight`. nullopt: the queue has no such descriptor. Called by the sending thread while no other
  /// thread stops or restarts the queue.
  [[nodiscard]] virtual std::optional<TxDescriptorStatus> descriptor_status(std::uint32_t offset) const noexcept = 0;
  /// Slots whose buffers are not freed yet. Exact on the sending thread.
  [[nodiscard]] virtual std::uint32_t in_flight() const noexcept = 0;

 private:
  friend struct QueueObservation;
  friend class TxQueueDriver;

  explicit TxQueue(BurstFunction* burst) noexcept;

  /// Bursts go to `function` from now on, and observers see the frames of these bursts. If bytes are counted
  /// (Settings::count_bytes), those of these bursts are.
  void open_bursts(BurstFunction* function) noexcept;
  /// Calls the queue's own burst function and shows its frames to the observers.
  static std::uint32_t burst_observed(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  /// Calls the queue's own burst function and adds up the bytes of its frames.
  static std::uint32_t burst_counted(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept;

  // Cold. The members that bursts read come last, so that those of the driver's class follow in the same cache line.
  BurstFunction* burst_;
  std::shared_ptr<const ContextState> context_;
  std::shared_ptr<MempoolCacheCore> cache_owner_;
  TxObservers observers_;
  TxQueueLimits limits_;
  std::uint32_t shortest_;
  std::uint32_t max_excess_ = 0;  // longest frame less the shortest, in bytes
  TxSent told_;                   // what `sent` has returned
  TxSent marked_;                 // the count when the frame in front of `mark_` was put into the ring
  TxSent certain_;                // that count, once the frame has been sent
  std::uint32_t mark_ = 0;
  TxSent sent_;

 protected:
  virtual ~TxQueue();
  /// The burst of a queue without a driver: takes no frames.
  static std::uint32_t idle(TxQueue&, Mbuf* const*, std::uint32_t) noexcept { return 0; }

  /// For the driver's bursts: what was dropped, the gate that `open` opens, and frames that bursts took.
  ///@{
  TxDrops drops_;
  // Hot: 24 bytes.
  alignas(64) BurstGate<BurstFunction> gate_;
  std::uint64_t packets_ = 0;
  ///@}
};

/// A transmit queue that several threads send on. A spinlock admits one burst at a time; a queue of its own for each
/// thread costs less. The lock is held for one call of the queue, so a stop of the port waits for it as for a burst.
///
/// The queue frees sent mbufs to a cache that belongs to this object, since a thread's cache must not be used by
/// others. Mbufs of `pool` take the fast path. A change of the queue (Port::change) gives it the cache of its settings
/// again, so create a new object after that.
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
