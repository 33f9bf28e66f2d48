// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "mem/mempool_core.hpp"
#include "pollux/net/drops.hpp"
#include "pollux/net/queue_driver.hpp"

namespace pollux::drivers::paravirtual {

/// What the slow path has done with a frame.
enum class TxOutcome : std::uint8_t { queued, dropped, no_room };

/// Frees a sent frame, to `cache` if it is not null, and otherwise to the shared lists.
inline void free_sent(Mbuf& frame, MempoolCacheCore* cache) noexcept {
  if (cache != nullptr) return cache->free(frame);
  MbufDeleter{}(&frame);
}

/// A transmit queue of a paravirtual device, from which a driver's derives: the frames of its ring. Positions count up
/// without limit; masked they are a slot. A device that returns what it does not have ends the queue: bursts take
/// nothing, and `fault` says what happened.
struct ParavirtualTxQueue : TxQueueDriver {
  /// What an element of `slots` has besides a frame.
  ///@{
  static constexpr std::uintptr_t kSpecial = 1;  ///< not a direct, single-segment mbuf of the cache's pool
  static constexpr std::uintptr_t kDone = 2;     ///< freed, before an older one
  static constexpr std::uintptr_t kTags = 3;
  ///@}

  using TxQueueDriver::count_sent;
  using TxQueueDriver::count_taken;
  using TxQueueDriver::drop;
  using TxQueueDriver::drops;
  using TxQueueDriver::limits;
  using TxQueueDriver::note_sent;
  using TxQueueDriver::reject;
  using TxQueueDriver::sent;

  /// Ends the queue.
  void end(const char* why) noexcept { fault_.store(why, std::memory_order_release); }
  /// As ParavirtualRxQueue::fault.
  [[nodiscard]] const char* fault() const noexcept { return fault_.load(std::memory_order_acquire); }
  [[nodiscard]] std::uint32_t in_flight() const noexcept final { return next - clean; }

  // Control path, with the gate closed.

  /// Empties the ring, for a device that has been reset.
  virtual void clear() noexcept;
  /// Reclaims sent buffers. Returns whether everything has been sent.
  [[nodiscard]] bool finished() noexcept;
  /// Frees every buffer and returns their number. Counts frames that were not sent. Call it only after the device has
  /// ended DMA.
  std::uint32_t drain(DrainReason reason) noexcept;
  void retire() noexcept override;

  [[nodiscard]] bool has_unsent(const TxSent& counted) const noexcept override;
  /// Where the device is in the ring, if it still has frames to send and has not ended the queue. Any thread may call
  /// it.
  [[nodiscard]] std::optional<std::uint32_t> progress() const noexcept {
    return fault() != nullptr ? std::nullopt : first_unsent();
  }

  // First cache line, after the base's gate and counter.
  std::uint32_t next = 0;   // position of the next descriptor to write
  std::uint32_t clean = 0;  // position of the oldest whose slot cannot be written yet
  std::uint32_t used = 0;   // position of the next entry with which the device returns frames
  std::uint32_t mask = 0;   // slots - 1
  /// By slot: a frame and its tags, or 0.
  std::unique_ptr<std::uintptr_t[]> slots;  // NOLINT(modernize-avoid-c-arrays): one pointer
  MempoolCacheCore* sent_cache = nullptr;   // where sent mbufs go; nullptr: to the shared list of their pool

 protected:
  std::atomic<const char*> fault_{nullptr};

 public:
  std::uint32_t direct = 0;  // the lower half of MbufAccess::word of the shortest direct mbuf
  std::uint32_t max_excess = 0;

 protected:
  /// A ring of `size` slots, and what TxQueueDriver::set_up takes.
  void set_up_ring(std::uint32_t size, const TxQueueLimits& limits, std::shared_ptr<MempoolCacheCore> cache,
                   std::shared_ptr<const ContextState> context);
  void cache_changed() noexcept override;
  /// Where the device is in the ring, if it still has frames to send. Any thread may call it.
  [[nodiscard]] virtual std::optional<std::uint32_t> first_unsent() const noexcept = 0;
  /// Frees what the device has sent, to the shared lists of the pools.
  virtual void reclaim_shared() noexcept = 0;
};

}  // namespace pollux::drivers::paravirtual
