// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "base/compiler.hpp"
#include "drivers/paravirtual/rx_queue.hpp"
#include "drivers/paravirtual/vlans_in_software.hpp"
#include "drivers/virtio/queue/rings.hpp"
#include "drivers/virtio/queue/virtqueue.hpp"
#include "hw/virtio/features.hpp"
#include "mem/mempool_core.hpp"
#include "pollux/net/drops.hpp"
#include "pollux/net/queue_driver.hpp"

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

using paravirtual::RxOutcome;
using paravirtual::VlansInSoftware;

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

/// A receive virtqueue: all that bursts read and write. rx_burst.cpp has its fast path, rx_slow.cpp its slow path.
/// VirtioRxQueue sets it up and changes it while no burst runs.
///
/// Every slot of the ring always has a buffer, whose id is the slot. A received buffer is replaced at once. If the pool
/// is exhausted, the frame is dropped and its buffer posted again. A device that uses buffers in another order than
/// they were posted moves the queue to its slow path, in which a slot may have any id.
struct alignas(kApart) RxVirtqueue : paravirtual::ParavirtualRxQueue {
  using ParavirtualRxQueue::ParavirtualRxQueue;

  /// Distance in slots from the current frame to the one whose header and first line are prefetched: the device wrote
  /// them on another core, or they come from memory.
  static constexpr std::uint32_t kPrefetchDistance = 16;

  template <class Ring>
  [[nodiscard]] const Ring& ring() const noexcept {
    if constexpr (std::is_same_v<Ring, PackedRing>) return packed_ring;
    if constexpr (std::is_same_v<Ring, SplitRing>) return split_ring;
  }
  /// The reason to drop a frame of `bytes` bytes on the wire; nullptr if it is received.
  [[nodiscard]] RxDrop drop_reason(const Mbuf& frame, std::uint32_t bytes) const noexcept {
    if (vlans == nullptr || !vlans->active()) return filter().drop_reason(frame.data(), bytes);
    if (bytes > filter().longest()) return &RxDrops::too_long;
    return vlans->passes(frame.bytes()) ? nullptr : &RxDrops::filtered;
  }
  /// Repeats the first slots behind the last one, so that those of the next lap are prefetched.
  void repeat_first_slots() noexcept { std::memmove(slots + mask + 1, slots, kPrefetchDistance * sizeof(Mbuf*)); }

  // First cache line, behind the base's members.
  bool fast = false;       // the fast path may be tried: each id is that of its slot, and no batch is being taken
  std::uint32_t next = 0;  // position of the next used entry
  std::uint32_t mask = 0;  // slots - 1
  Mbuf** slots = nullptr;  // by buffer id, and kPrefetchDistance more to prefetch from

  alignas(64) RxFastPath fast_path;
  SplitRing split_ring;
  PackedRing packed_ring;
  Notifier notifier;

  // Cold.
  const VlansInSoftware* vlans = nullptr;
  std::uint32_t published = 0;  // of a split ring: the position before which the device sees entries
  hw::virtio::Features features = 0;
  bool mergeable = false;
  bool hashes = false;
  std::optional<UsedBuffer> batch_end;  // IN_ORDER: the last used entry, until the slot of its id
  std::vector<std::uint32_t> posted;    // by slot: the id that was posted there
  std::vector<std::uint32_t> slot_of;   // by id: its slot
  Virtqueue memory;
};

/// A receive queue: the control of a virtqueue. Tests derive from it, to step through `watch`.
class VirtioRxQueue : public RxVirtqueue {
 public:
  /// `sleeps`: the device has interrupts, so a thread may sleep on the queue. While `software` is active, `filter` is
  /// not promiscuous: the fast path looks at no tag.
  VirtioRxQueue(const RxFilter& filter, bool sleeps, const VlansInSoftware* software = nullptr);

  /// Control path, in this order. All but `close` need the gate closed.
  void setup(RxQueueSetup setup);
  /// `count`: that of the slots.
  [[nodiscard]] Result<void> fill(std::uint32_t count, std::span<Mbuf* const> given) override;
  void use_notifier(const Notifier& of_device) noexcept { notifier = of_device; }
  /// Posts all buffers. Call it once the device has the queue, and filters as it should: frames come from then on.
  void publish_all() noexcept;
  void open() noexcept override;
  std::uint32_t drain(DrainReason reason, std::span<Mbuf*> kept) noexcept override;
  void retire() noexcept override;

  [[nodiscard]] std::uint32_t size() const noexcept { return mask + 1; }
  [[nodiscard]] std::uint32_t buffers() const noexcept override;

  [[nodiscard]] std::optional<RxDescriptorStatus> descriptor_status(std::uint32_t offset) const noexcept override;

 protected:
  [[nodiscard]] bool watch() noexcept override;

 private:
  void unwatch() noexcept override;
  /// Calls `action` with the ring, of whichever format.
  template <class Action>
  decltype(auto) with_ring(Action action) const noexcept {
    return packed_ ? action(packed_ring) : action(split_ring);
  }
  [[nodiscard]] bool has_frame() const noexcept;
  void clear_ring() noexcept;

  bool packed_ = false;
  std::vector<Mbuf*> slot_memory_;
};

/// The bursts of a receive queue.
[[nodiscard]] RxQueue::BurstFunction* rx_burst_for(bool packed) noexcept;

// rx_slow.cpp

/// Takes the frame at the queue's position, of whatever kind. `Ring` is SplitRing or PackedRing.
template <class Ring>
RxOutcome rx_take_slow(RxVirtqueue& queue, Mbuf*& out) noexcept;

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
