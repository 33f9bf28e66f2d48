// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <vector>

#include "base/compiler.hpp"
#include "drivers/paravirtual/tx_queue.hpp"
#include "drivers/virtio/queue/rings.hpp"
#include "drivers/virtio/queue/virtqueue.hpp"
#include "hw/virtio/features.hpp"
#include "hw/virtio/net.hpp"
#include "mem/mempool_core.hpp"
#include "pollux/net/drops.hpp"
#include "pollux/net/queue_driver.hpp"

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

/// Bytes in front of a frame on the ring, and bytes of its own headers that may be copied there.
///@{
[[nodiscard]] constexpr std::uint32_t net_header_bytes(hw::virtio::Features features) noexcept {
  return (features & hw::virtio::feature::kHashReport) != 0 ? sizeof(hw::virtio::NetHeaderWithHash)
                                                            : sizeof(hw::virtio::NetHeader);
}
[[nodiscard]] constexpr std::uint32_t tx_copy_bytes(hw::virtio::Features features) noexcept {
  return kTxHeaderBytes - net_header_bytes(features);
}
///@}

using paravirtual::TxOutcome;

/// The parameters of a transmit queue.
struct TxQueueSetup {
  Virtqueue memory;
  hw::virtio::Features features = 0;  ///< negotiated
  TxQueueLimits limits;
  std::shared_ptr<MempoolCacheCore> cache;      ///< null: every buffer returns to its pool's shared list
  std::shared_ptr<const ContextState> context;  ///< mbufs of other Contexts are dropped
};

/// A transmit virtqueue: all that bursts read and write. tx_burst.cpp has its fast path, tx_slow.cpp its slow path.
/// VirtioTxQueue sets it up and changes it while no burst runs.
///
/// A frame's id is the slot of its first descriptor. Slots are used again in the order in which they were written, so a
/// device that uses buffers out of order has fewer of them meanwhile.
struct alignas(kApart) TxVirtqueue : paravirtual::ParavirtualTxQueue {
  template <class Ring>
  [[nodiscard]] const Ring& ring() const noexcept {
    if constexpr (std::is_same_v<Ring, PackedRing>) return packed_ring;
    if constexpr (std::is_same_v<Ring, SplitRing>) return split_ring;
  }
  [[nodiscard]] std::uint32_t free_slots() const noexcept { return mask + 1 - (next - clean); }
  ///@{
  /// `VirtioTxQueue::first_unsent` reads both positions in any thread.
  POLLUX_ALWAYS_INLINE void add_entries(std::uint32_t count) noexcept { add_to(entries, count); }
  POLLUX_ALWAYS_INLINE void pass_used(std::uint32_t count) noexcept { add_to(used, count); }
  ///@}
  /// Moves on past frames that the device has used before an older one.
  void advance() noexcept {
    while (clean != next && slots[clean & mask] == kDone) clean += spans[clean & mask];
  }

  // In `slots` a frame is in that of its first descriptor; if special, it has `spans[slot]` descriptors and is freed as
  // a whole. 0: another descriptor of a frame.
  std::uint32_t entries = 0;  // position of the next entry: of a split ring's available ring; `next` of a packed ring
  std::uint32_t header_bytes = 0;
  alignas(64) SplitRing split_ring;
  PackedRing packed_ring;
  Notifier notifier;

  // Cold.
  hw::virtio::Features features = 0;
  std::vector<std::uint16_t> spans;
  Virtqueue memory;
};

/// A transmit queue: the control of a virtqueue.
class VirtioTxQueue final : public TxVirtqueue {
 public:
  VirtioTxQueue() = default;

  /// Control path, in this order. All but `close` need the gate closed.
  void setup(TxQueueSetup setup);
  void clear() noexcept override;
  void use_notifier(const Notifier& of_device) noexcept { notifier = of_device; }
  void open() noexcept override;
  void retire() noexcept override;

  [[nodiscard]] std::optional<TxDescriptorStatus> descriptor_status(std::uint32_t offset) const noexcept override;

 private:
  void cache_changed() noexcept override;
  [[nodiscard]] std::optional<std::uint32_t> first_unsent() const noexcept override;
  void reclaim_shared() noexcept override;
  /// The position of the first entry from `from` on, before `end`, that the device has not used.
  [[nodiscard]] std::uint32_t first_unused(std::uint32_t from, std::uint32_t end) const noexcept;
  template <class Action>
  decltype(auto) with_ring(Action action) const noexcept {
    return packed_ ? action(packed_ring) : action(split_ring);
  }

  bool packed_ = false;
};

/// The bursts of a transmit queue.
[[nodiscard]] TxQueue::BurstFunction* tx_burst_for(bool packed) noexcept;
/// Frees the frames that the device has sent, to the shared lists of their pools.
void tx_reclaim_shared(TxVirtqueue& queue, bool packed) noexcept;

// tx_slow.cpp. `Ring` is SplitRing or PackedRing.

/// Frees what the next used buffer, `id`, stands for, to `cache` if it is not null. Returns the entries that it stands
/// for; 0: the device lies.
template <class Ring>
std::uint32_t tx_reclaim_slow(TxVirtqueue& queue, std::uint32_t id, MempoolCacheCore* cache) noexcept;
/// Sends or drops a frame of whatever kind.
template <class Ring>
TxOutcome tx_send_slow(TxVirtqueue& queue, Mbuf* frame) noexcept;

}  // namespace pollux::drivers::virtio
