// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/compiler.hpp"
#include "drivers/vmware/vmxnet3/card.hpp"
#include "hw/vmware/vmxnet3/descriptors.hpp"
#include "mem/mempool_core.hpp"
#include "pollux/base/io.hpp"
#include "pollux/net/drops.hpp"
#include "pollux/net/queue_driver.hpp"

namespace pollux::drivers::vmxnet3 {

/// Bytes for copies of a frame's headers, which may not be changed in the frame, and of a tag in front of them.
inline constexpr std::uint32_t kTxCopyBytes = 256;

/// Mbufs of a frame, since copied headers need a descriptor; and pieces of one to be segmented.
inline constexpr std::uint32_t kMaxTxSegments = reg::tx::kMaxPieces - 1;
inline constexpr std::uint32_t kMaxTsoPieces = reg::tx::kMaxSegmentPieces - 1;

/// Bytes of DMA memory for a transmit queue: descriptors, completions, copies of headers for each descriptor.
[[nodiscard]] constexpr std::size_t tx_bytes(std::uint32_t size) noexcept {
  return std::size_t{size} * (sizeof(reg::Descriptor) + sizeof(reg::Completion) + kTxCopyBytes);
}

/// The parameters of a transmit queue.
struct TxQueueSetup {
  DmaArea memory;
  std::uint32_t size = 0;
  TxQueueLimits limits;
  std::shared_ptr<MempoolCacheCore> cache;      ///< null: every buffer returns to its pool's shared list
  std::shared_ptr<const ContextState> context;  ///< mbufs of other Contexts are dropped
};

/// A transmit queue: all that bursts read and write. tx_burst.cpp has its fast path, tx_slow.cpp its slow path. A
/// device that returns what it does not have ends the queue: bursts take nothing, and `fault` says what happened.
struct alignas(kApart) TxRing : TxQueueDriver {
  /// Of an element of `slots`: not a direct, single-segment mbuf of the cache's pool.
  static constexpr std::uintptr_t kSpecial = 1;

  using TxQueueDriver::count_sent;
  using TxQueueDriver::count_taken;
  using TxQueueDriver::drop;
  using TxQueueDriver::give_back;
  using TxQueueDriver::limits;
  using TxQueueDriver::note_sent;
  using TxQueueDriver::reject;

  [[nodiscard]] bool is_ready(std::uint32_t position) const noexcept {
    return ((completions[position & mask].high & reg::kCompletionGeneration) != 0) == ((position & (mask + 1)) == 0);
  }
  [[nodiscard]] std::uint64_t generation(std::uint32_t position) const noexcept {
    return (position & (mask + 1)) == 0 ? reg::tx::kGeneration : 0;
  }
  /// Ends the queue.
  void end(const char* why) noexcept { fault_.store(why, std::memory_order_release); }
  /// As RxRings::fault.
  [[nodiscard]] const char* fault() const noexcept { return fault_.load(std::memory_order_acquire); }
  [[nodiscard]] std::uint32_t in_flight() const noexcept final { return next - clean; }
  [[nodiscard]] std::uint32_t free_slots() const noexcept { return mask - (next - clean); }

  // First cache line, after the base's gate and counter.
  std::uint32_t next = 0;   // position of the next descriptor to write
  std::uint32_t clean = 0;  // position of the oldest whose frame may not have been sent
  std::uint32_t done = 0;   // position of the next completion
  std::uint32_t mask = 0;   // slots - 1
  /// By slot: the frame whose last descriptor it is; 0: another one.
  std::uintptr_t* slots = nullptr;
  MempoolCacheCore* sent_cache = nullptr;  // where sent mbufs go; nullptr: to the shared list of their pool

  alignas(64) reg::Descriptor* descriptors = nullptr;
  const reg::Completion* completions = nullptr;
  Doorbell producer;
  std::uint32_t direct = 0;  // the lower half of MbufAccess::word of the shortest direct mbuf
  std::uint32_t max_excess = 0;
  DmaArea memory;

 protected:
  std::atomic<const char*> fault_{nullptr};
};

/// A transmit queue's control.
class Vmxnet3TxQueue final : public TxRing {
 public:
  Vmxnet3TxQueue() = default;

  using TxQueueDriver::drops;
  using TxQueueDriver::sent;

  /// Control path, in this order. All but `close` need the gate closed.
  void setup(TxQueueSetup setup);
  /// Empties the ring, for a device that has been reset.
  void clear() noexcept;
  /// Says in `of_device` where the rings are.
  void describe(reg::TxQueueShared& of_device, const Bar& bar, std::uint32_t index, std::uint8_t vector);
  void open() noexcept override;
  /// Reclaims sent buffers. Returns whether everything has been sent. Needs the gate closed.
  [[nodiscard]] bool finished() noexcept;
  /// Frees every buffer and returns their number. Counts frames that were not sent. Call it only after the device has
  /// ended DMA.
  std::uint32_t drain(DrainReason reason) noexcept;
  void retire() noexcept override;
  [[nodiscard]] bool has_unsent(const TxSent& counted) const noexcept override;

  /// Where the device is in the ring, if it still has frames to send. Any thread may call it.
  [[nodiscard]] std::optional<std::uint32_t> progress() const noexcept;

  [[nodiscard]] std::optional<TxDescriptorStatus> descriptor_status(std::uint32_t offset) const noexcept override;

 private:
  void cache_changed() noexcept override;
  /// The position behind the last frame that the device has sent.
  [[nodiscard]] std::uint32_t sent_until() const noexcept;

  std::vector<std::uintptr_t> slot_memory_;
};

/// The bursts of a transmit queue.
[[nodiscard]] TxQueue::BurstFunction* tx_burst_function() noexcept;
/// Frees the frames that the device has sent, to `cache` if it is not null.
void tx_reclaim(TxRing& queue, MempoolCacheCore* cache) noexcept;

// tx_slow.cpp

enum class TxOutcome : std::uint8_t { queued, dropped, no_room };
/// Sends or drops a frame of whatever kind.
TxOutcome tx_send_slow(TxRing& queue, Mbuf* frame) noexcept;

}  // namespace pollux::drivers::vmxnet3
