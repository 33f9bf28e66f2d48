// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <vector>

#include "drivers/virtio/queue/rings.hpp"
#include "drivers/virtio/queue/virtqueue.hpp"
#include "hw/virtio/features.hpp"
#include "mem/mempool_core.hpp"
#include "pollux/net/drops.hpp"
#include "pollux/net/tx_queue.hpp"

namespace pollux::drivers::virtio {

/// Segments of a frame.
inline constexpr std::uint32_t kMaxTxSegments = 40;
/// Bytes for the header of a frame that does not have room for it, and for copies of its own headers.
inline constexpr std::uint32_t kTxHeaderBytes = 256;
/// Bytes of a table of descriptors (INDIRECT_DESC): one for the header, and one a segment.
inline constexpr std::uint32_t kTxTableBytes = (kMaxTxSegments + 1) * 16;

/// Bytes of Virtqueue::extra for a transmit queue: first the headers, then the tables, one for each slot.
[[nodiscard]] constexpr std::size_t tx_extra_bytes(hw::virtio::Features features, std::uint32_t size) noexcept {
  const bool indirect = (features & hw::virtio::feature::kIndirectDesc) != 0;
  return std::size_t{size} * (kTxHeaderBytes + (indirect ? kTxTableBytes : 0));
}

/// The parameters of a transmit queue.
struct TxQueueSetup {
  Virtqueue memory;
  hw::virtio::Features features = 0;  ///< negotiated
  TxQueueLimits limits;
  std::shared_ptr<MempoolCacheCore> cache;      ///< null: every buffer returns to its pool's shared list
  std::shared_ptr<const ContextState> context;  ///< mbufs of other Contexts are dropped
};

/// A transmit queue. tx_burst.cpp has its fast path, tx_slow.cpp its slow path.
///
/// A frame's id is the slot of its first descriptor. Slots are used again in the order in which they were written, so a
/// device that uses buffers out of order has fewer of them meanwhile.
///
/// A device that returns what it does not have ends the queue: bursts take nothing, and `fault` says what happened.
class alignas(64) TxQueue final : public pollux::TxQueue {
 public:
  TxQueue() = default;

  using pollux::TxQueue::drops;
  using pollux::TxQueue::sent;

  /// Control path, in this order. All but `close` need the gate closed.
  void setup(TxQueueSetup setup);
  /// Empties the ring, for a device that has been reset.
  void clear() noexcept;
  void use_notifier(const Notifier& notifier) noexcept { notifier_ = notifier; }
  void open() noexcept override;
  /// Reclaims sent buffers. Returns whether everything has been sent. Needs the gate closed.
  [[nodiscard]] bool finished() noexcept;
  /// Frees every buffer and returns their number. Counts frames that were not sent. Call it only after the device has
  /// ended DMA.
  std::uint32_t drain(DrainReason reason) noexcept;
  void retire() noexcept override;

  /// As RxQueue::fault.
  [[nodiscard]] const char* fault() const noexcept { return fault_.load(std::memory_order_acquire); }
  /// Where the device is in the ring, if it still has frames to send. Any thread may call it.
  [[nodiscard]] std::optional<std::uint32_t> progress() const noexcept;
  [[nodiscard]] const Virtqueue& memory() const noexcept { return memory_; }

  [[nodiscard]] std::optional<TxDescriptorStatus> descriptor_status(std::uint32_t offset) const noexcept override;
  [[nodiscard]] std::uint32_t in_flight() const noexcept override { return next_ - clean_; }

 private:
  friend struct TxHotPath;
  friend struct TxSlowPath;

  void cache_changed() noexcept override;
  template <class Action>
  decltype(auto) with_ring(Action action) const noexcept {
    return packed_ ? action(packed_ring_) : action(split_ring_);
  }

  // First cache line, after the base's gate and counter.
  std::uint32_t next_ = 0;     // position of the next descriptor to write
  std::uint32_t clean_ = 0;    // position of the oldest whose slot cannot be written yet
  std::uint32_t entries_ = 0;  // position of the next entry: of a split ring's available ring; next_ of a packed ring
  std::uint32_t used_ = 0;     // position of the next used entry
  std::uint32_t mask_ = 0;     // slots - 1
  /// By slot: the frame whose first descriptor it is, with kSpecial if it has `spans_[slot]` descriptors and is freed
  /// as a whole; otherwise it is a direct, single-segment mbuf of the cache's pool. kDone: the device has used that
  /// frame before an older one. 0: another descriptor of a frame.
  std::uintptr_t* slots_ = nullptr;
  MempoolCacheCore* cache_ = nullptr;

  alignas(64) SplitRing split_ring_;
  PackedRing packed_ring_;
  Notifier notifier_;
  std::uint32_t direct_ = 0;  // the lower half of MbufAccess::word of the shortest direct mbuf
  std::uint32_t max_excess_ = 0;
  std::uint32_t header_bytes_ = 0;

  // Cold.
  hw::virtio::Features features_ = 0;
  bool packed_ = false;
  std::vector<std::uintptr_t> slot_memory_;
  std::vector<std::uint16_t> spans_;
  Virtqueue memory_;
  std::atomic<const char*> fault_{nullptr};
};

/// The bursts of a transmit queue.
[[nodiscard]] pollux::TxQueue::BurstFunction* tx_burst_for(bool packed) noexcept;

/// What fast path and slow path share.
struct TxHotPath {
  static constexpr std::uintptr_t kSpecial = 1;
  static constexpr std::uintptr_t kDone = 2;
  static constexpr std::uintptr_t kTags = 3;

  /// Frames that are freed at once.
  static constexpr std::uint32_t kGroup = 32;

  enum class Outcome : std::uint8_t { queued, dropped, no_room };

  /// One burst: runs of fast-path frames, and between them frames that need the slow path. `Ring` is SplitRing or
  /// PackedRing.
  template <class Ring>
  static std::uint32_t burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  /// A burst of one fast-path frame. False, with nothing sent: `burst` has to look.
  template <class Ring>
  static bool burst_one(TxQueue& queue, Mbuf* const* frame) noexcept;
  template <class Ring>
  [[nodiscard]] static const Ring& ring_of(const TxQueue& queue) noexcept {
    if constexpr (std::is_same_v<Ring, PackedRing>) return queue.packed_ring_;
    if constexpr (std::is_same_v<Ring, SplitRing>) return queue.split_ring_;
  }
  [[nodiscard]] static std::uint32_t free_slots(const TxQueue& queue) noexcept {
    return queue.mask_ + 1 - (queue.next_ - queue.clean_);
  }

  /// Moves on past frames that the device has used before an older one.
  static void advance(TxQueue& queue) noexcept {
    while (queue.clean_ != queue.next_ && queue.slots_[queue.clean_ & queue.mask_] == kDone) {
      queue.clean_ += queue.spans_[queue.clean_ & queue.mask_];
    }
  }

  /// Frees the frames that the device has sent, to `cache` if it is not null.
  template <class Ring>
  static void reclaim(TxQueue& queue, MempoolCacheCore* cache) noexcept;
  /// The same for the next used buffer, `id`, of whatever kind. Returns the entries that it stands for; 0: the device
  /// lies.
  template <class Ring>
  static std::uint32_t reclaim_slow(TxQueue& queue, std::uint32_t id, MempoolCacheCore* cache) noexcept;
  /// Sends or drops a frame of whatever kind.
  template <class Ring>
  static Outcome send_slow(TxQueue& queue, Mbuf* frame) noexcept;
  /// Ends the queue.
  static void end(TxQueue& queue, const char* why) noexcept { queue.fault_.store(why, std::memory_order_release); }

 private:
  template <class Ring>
  static void reclaim_apart(TxQueue& queue) noexcept;
  /// `kOne`: there is one frame.
  template <class Ring, bool kOne>
  static std::uint32_t send_fast(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  template <class Ring>
  static std::uint32_t reclaim_fast(TxQueue& queue, MempoolCacheCore& cache, std::uint32_t ready) noexcept;
};

}  // namespace pollux::drivers::virtio
