// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "base/compiler.hpp"
#include "drivers/virtio/queue/rings.hpp"
#include "drivers/virtio/queue/virtqueue.hpp"
#include "hw/virtio/features.hpp"
#include "mem/mempool_core.hpp"
#include "net/frame_size.hpp"
#include "net/queue_event.hpp"
#include "pollux/net/drops.hpp"
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/ethernet.hpp"
#include "pollux/net/queue_driver.hpp"
#include "pollux/net/settings.hpp"

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

/// The VLANs that a device in promiscuous mode should pass, whose own filter then passes all (5.1.6.5.1). The control
/// thread writes it; polling threads read it.
class VlansInSoftware {
 public:
  /// nullptr: all frames pass, by this filter. It applies from the next frame on.
  void set(const VlanSet* vlans) noexcept {
    for (std::size_t vlan = 0; vlans != nullptr && vlan < kVlans; vlan += 64) {
      std::uint64_t word = 0;
      for (std::size_t bit = 0; bit < 64; ++bit) word |= std::uint64_t{(*vlans)[vlan + bit]} << bit;
      words_[vlan / 64].store(word, std::memory_order_relaxed);
    }
    active_.store(vlans != nullptr, std::memory_order_relaxed);
  }
  [[nodiscard]] bool active() const noexcept { return active_.load(std::memory_order_relaxed); }
  /// Frames without a tag, and with a priority alone, pass.
  [[nodiscard]] bool passes(std::span<const std::uint8_t> frame) const noexcept {
    constexpr std::size_t kTagged = kEthernetHeaderBytes + kVlanTagBytes;
    if (frame.size() < kTagged || packet::load16(&frame[12]) != packet::ether_type::kVlan) return true;
    const std::uint32_t vlan = packet::load16(&frame[14]) & (kVlans - 1);
    return vlan == 0 || (words_[vlan / 64].load(std::memory_order_relaxed) >> vlan % 64 & 1) != 0;
  }

 private:
  static constexpr std::uint32_t kVlans = 4096;
  std::atomic<bool> active_{false};
  std::array<std::atomic<std::uint64_t>, kVlans / 64> words_{};
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

/// A receive virtqueue: all that bursts read and write. rx_burst.cpp has its fast path, rx_slow.cpp its slow path.
/// VirtioRxQueue sets it up and changes it while no burst runs.
///
/// Every slot of the ring always has a buffer, whose id is the slot. A received buffer is replaced at once. If the pool
/// is exhausted, the frame is dropped and its buffer posted again. A device that uses buffers in another order than
/// they were posted moves the queue to its slow path, in which a slot may have any id.
///
/// A device that returns what it does not have ends the queue: bursts are empty, and `fault` says what happened.
struct alignas(kApart) RxVirtqueue : RxQueueDriver {
  using RxQueueDriver::cache_;
  using RxQueueDriver::count_arrival;
  using RxQueueDriver::count_arrivals;
  using RxQueueDriver::count_drop;
  using RxQueueDriver::count_returned;
  using RxQueueDriver::filter;
  using RxQueueDriver::RxQueueDriver;

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
  /// Ends the queue. Always false.
  bool end(const char* why) noexcept {
    fault_.store(why, std::memory_order_release);
    return false;
  }
  /// Why the queue has ended; nullptr if it has not. Any thread may call it.
  [[nodiscard]] const char* fault() const noexcept { return fault_.load(std::memory_order_acquire); }

  // First cache line, with the base's gate and cache.
  std::uint32_t next = 0;  // position of the next used entry
  std::uint32_t mask = 0;  // slots - 1
  Mbuf** slots = nullptr;  // by buffer id, and kPrefetchDistance more to prefetch from
  bool fast = false;       // the fast path may be tried: each id is that of its slot, and no batch is being taken

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

 protected:
  std::atomic<const char*> fault_{nullptr};
};

/// A receive queue: the control of a virtqueue. Tests derive from it, to step through `watch`.
class VirtioRxQueue : public RxVirtqueue {
 public:
  /// `sleeps`: the device has interrupts, so a thread may sleep on the queue. While `software` is active, `filter` is
  /// not promiscuous: the fast path looks at no tag.
  VirtioRxQueue(const RxFilter& filter, bool sleeps, const VlansInSoftware* software = nullptr);

  using RxQueueDriver::arrivals;
  using RxQueueDriver::drops;
  using RxQueueDriver::notify_change;
  using RxQueueDriver::pool;

  /// Control path, in this order. All but `close` need the gate closed.
  void setup(RxQueueSetup setup);
  /// Takes a buffer for every slot, of `given` as far as it has some, and empties the ring. On error no_memory (the
  /// pool has too few mbufs) it takes no mbuf.
  [[nodiscard]] Result<void> fill(std::span<Mbuf* const> given = {});
  void use_notifier(const Notifier& of_device) noexcept { notifier = of_device; }
  /// Posts all buffers. Call it once the device has the queue, and filters as it should: frames come from then on.
  void publish_all() noexcept;
  void open() noexcept override;
  /// Frees every buffer and returns their number. Counts received frames that were not polled. Call it only after the
  /// device has ended DMA. The first buffers go to `kept` instead.
  std::uint32_t drain(DrainReason reason, std::span<Mbuf*> kept = {}) noexcept;
  void retire() noexcept override;

  /// The eventfd of the queue's interrupts; -1 if it has none. Needs the gate closed.
  void attach_vector(int source) noexcept;
  [[nodiscard]] std::uint32_t size() const noexcept { return mask + 1; }

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
  bool has_vector_ = false;
  std::vector<Mbuf*> slot_memory_;
};

/// The bursts of a receive queue.
[[nodiscard]] RxQueue::BurstFunction* rx_burst_for(bool packed) noexcept;

// rx_slow.cpp

enum class RxOutcome : std::uint8_t { nothing, dropped, frame };
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
