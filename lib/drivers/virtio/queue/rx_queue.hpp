// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "drivers/virtio/queue/rings.hpp"
#include "drivers/virtio/queue/virtqueue.hpp"
#include "hw/virtio/features.hpp"
#include "mem/mempool_core.hpp"
#include "net/queue_event.hpp"
#include "pollux/net/drops.hpp"
#include "pollux/net/rx_queue.hpp"

namespace pollux::drivers::virtio {

/// The parameters of a receive queue.
struct RxQueueSetup {
  Virtqueue memory;
  hw::virtio::Features features = 0;  ///< negotiated
  std::uint32_t buffer_bytes = 0;     ///< bytes of a frame in one buffer
  std::shared_ptr<MempoolCore> pool;
  std::shared_ptr<MempoolCacheCore> cache;
  std::uint16_t port = 0;
};

/// The parameters of the receive fast path: which frames take it, and how their mbufs are filled in.
struct RxFastPath {
  std::uint64_t shortest = 0;      ///< bytes of header and shortest frame, as in a used entry
  std::uint64_t word = 0;          ///< MbufAccess::word of the shortest frame
  std::uint32_t header_at = 0;     ///< from an mbuf to its header
  std::uint32_t header_bytes = 0;  ///< 12, or 20 with hashes
  std::uint32_t iova_at = 0;       ///< from a buffer's IOVA to its header
  std::uint32_t room = 0;          ///< bytes of a buffer, header included
  std::uint32_t max_excess = 0;    ///< bytes of the longest frame in one buffer, above the shortest
  /// What matters of a header, its first 32 bits and its third ones, and what it is for a frame in one buffer that asks
  /// for nothing.
  std::uint64_t header_mask = 0;
  std::uint64_t header = 0;
};

/// A receive queue. rx_burst.cpp has its fast path, rx_slow.cpp its slow path.
///
/// Every slot of the ring always has a buffer, whose id is the slot. A received buffer is replaced at once. If the pool
/// is exhausted, the frame is dropped and its buffer posted again. A device that uses buffers in another order than
/// they were posted moves the queue to its slow path, in which a slot may have any id.
///
/// A device that returns what it does not have ends the queue: bursts are empty, and `fault` says what happened.
class alignas(64) RxQueue final : public pollux::RxQueue {
 public:
  /// `sleeps`: the device has interrupts, so a thread may sleep on the queue.
  RxQueue(const RxFilter& filter, bool sleeps);

  using pollux::RxQueue::arrivals;
  using pollux::RxQueue::drops;
  using pollux::RxQueue::notify_change;
  using pollux::RxQueue::pool;

  /// Control path, in this order. All but `close` need the gate closed.
  void setup(RxQueueSetup setup);
  /// Takes a buffer for every slot, of `given` as far as it has some, and empties the ring. On error no_memory (the
  /// pool has too few mbufs) it takes no mbuf.
  [[nodiscard]] Result<void> fill(std::span<Mbuf* const> given = {});
  void use_notifier(const Notifier& notifier) noexcept { notifier_ = notifier; }
  /// Posts all buffers. Call it once the device has the queue, and filters as it should: frames come from then on.
  void publish_all() noexcept;
  void open() noexcept override;
  /// Frees every buffer and returns their number. Counts received frames that were not polled. Call it only after the
  /// device has ended DMA. The first buffers go to `kept` instead.
  std::uint32_t drain(DrainReason reason, std::span<Mbuf*> kept = {}) noexcept;
  void retire() noexcept override;

  /// The eventfd of the queue's interrupts; -1 if it has none. Needs the gate closed.
  void attach_vector(int source) noexcept;
  /// Why the queue has ended; nullptr if it has not. Any thread may call it.
  [[nodiscard]] const char* fault() const noexcept { return fault_.load(std::memory_order_acquire); }
  [[nodiscard]] std::uint32_t size() const noexcept { return mask_ + 1; }
  [[nodiscard]] const Virtqueue& memory() const noexcept { return memory_; }

  [[nodiscard]] std::optional<RxDescriptorStatus> descriptor_status(std::uint32_t offset) const noexcept override;

 private:
  friend struct RxHotPath;
  friend struct RxSlowPath;

  [[nodiscard]] bool watch() noexcept override;
  void unwatch() noexcept override;
  /// Calls `action` with the ring, of whichever format.
  template <class Action>
  decltype(auto) with_ring(Action action) const noexcept {
    return packed_ ? action(packed_ring_) : action(split_ring_);
  }
  [[nodiscard]] bool has_frame() const noexcept;
  void clear_ring() noexcept;

  // First cache line, with the base's gate and cache.
  std::uint32_t next_ = 0;  // position of the next used entry
  std::uint32_t mask_ = 0;  // slots - 1
  Mbuf** slots_ = nullptr;  // by buffer id
  bool fast_ = false;       // the fast path may be tried: each id is that of its slot, and no batch is being taken

  alignas(64) RxFastPath fast_path_;
  SplitRing split_ring_;
  PackedRing packed_ring_;
  Notifier notifier_;

  // Cold.
  std::uint32_t published_ = 0;  // of a split ring: the position before which the device sees entries
  hw::virtio::Features features_ = 0;
  bool packed_ = false;
  bool mergeable_ = false;
  bool hashes_ = false;
  bool has_vector_ = false;
  std::optional<UsedBuffer> batch_end_;  // IN_ORDER: the last used entry, until the slot of its id
  std::vector<std::uint32_t> posted_;    // by slot: the id that was posted there
  std::vector<std::uint32_t> slot_of_;   // by id: its slot
  std::vector<Mbuf*> slot_memory_;
  Virtqueue memory_;
  std::atomic<const char*> fault_{nullptr};
};

/// The bursts of a receive queue.
[[nodiscard]] pollux::RxQueue::BurstFunction* rx_burst_for(bool packed) noexcept;

/// What fast path and slow path share.
struct RxHotPath {
  enum class Outcome : std::uint8_t { nothing, dropped, frame };

  /// One burst: runs of fast-path frames, and between them frames that need the slow path. `Ring` is SplitRing or
  /// PackedRing.
  template <class Ring>
  static std::uint32_t burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;
  /// A burst of one fast-path frame. False, with nothing taken: `burst` has to look.
  template <class Ring>
  static bool burst_one(RxQueue& queue, Mbuf*& out) noexcept;
  template <class Ring>
  [[nodiscard]] static const Ring& ring_of(const RxQueue& queue) noexcept {
    if constexpr (std::is_same_v<Ring, PackedRing>) return queue.packed_ring_;
    if constexpr (std::is_same_v<Ring, SplitRing>) return queue.split_ring_;
  }
  /// Ends the queue. Always false.
  static bool end(RxQueue& queue, const char* why) noexcept {
    queue.fault_.store(why, std::memory_order_release);
    return false;
  }
  /// Takes the frame at the queue's position, of whatever kind.
  template <class Ring>
  static Outcome take_slow(RxQueue& queue, Mbuf*& out) noexcept;

 private:
  template <class Ring>
  static std::uint32_t take_fast(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept;
  /// Shows the device the buffers that have been posted from position `first` of the used entries on.
  template <class Ring>
  static void publish(RxQueue& queue, std::uint32_t first) noexcept;
};

/// Writes the entry at `position` with the buffer `id`, which begins at `iova` and has room for `length` bytes.
inline void post(const SplitRing& ring, std::uint32_t position, std::uint32_t id, std::uint64_t iova,
                 std::uint32_t length) noexcept {
  ring.descriptors[id] = {.address = iova, .length = length, .flags = hw::virtio::kDescWrite, .next = 0};
  ring.available[position & ring.mask] = static_cast<std::uint16_t>(id);
}
inline void post(const PackedRing& ring, std::uint32_t position, std::uint32_t id, std::uint64_t iova,
                 std::uint32_t length) noexcept {
  ring.put(position, iova, length, id, hw::virtio::kDescWrite);
}

}  // namespace pollux::drivers::virtio
