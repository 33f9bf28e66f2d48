// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/compiler.hpp"
#include "drivers/paravirtual/rx_queue.hpp"
#include "drivers/paravirtual/vlans_in_software.hpp"
#include "drivers/vmware/vmxnet3/card.hpp"
#include "hw/vmware/vmxnet3/descriptors.hpp"
#include "mem/mempool_core.hpp"
#include "pollux/base/io.hpp"
#include "pollux/net/drops.hpp"
#include "pollux/net/queue_driver.hpp"

namespace pollux::drivers::vmxnet3 {

using paravirtual::RxOutcome;
using paravirtual::VlansInSoftware;

/// One of a queue's two rings of buffers. Positions count up without limit; masked they are a slot.
///
/// Every slot has a buffer, and the device may use all but the last: Linux leaves it out, too, since a device that
/// compares indices takes a full ring for an empty one.
struct BufferRing {
  reg::Descriptor* descriptors = nullptr;
  Mbuf** slots = nullptr;
  std::uint32_t mask = 0;
  std::uint32_t next = 0;   // position of the next buffer that the device fills
  std::uint64_t ready = 0;  // a descriptor's word, with the generation of what the device gets next

  /// Puts a buffer where the oldest was, lets the device use the one before it, and moves on.
  POLLUX_ALWAYS_INLINE void put(Mbuf& fresh, std::uint64_t iova) noexcept {
    slots[next & mask] = &fresh;
    descriptors[next & mask].address = iova;
    io::io_wmb();
    __atomic_store_n(&descriptors[(next + mask) & mask].word, ready, __ATOMIC_RELEASE);
    if ((next & mask) == 0) ready ^= reg::rx::kGeneration;
    ++next;
  }
};

/// What the fast path compares and writes.
struct RxFastPath {
  std::uint64_t shortest = 0;    ///< what is compared of its high word in this lap, for the shortest frame
  std::uint64_t word = 0;        ///< MbufAccess::word of the shortest frame
  std::uint64_t iova_delta = 0;  ///< from an mbuf's address to the IOVA of the frame, if that is the same for all
  std::uint32_t iova_at = 0;     ///< from a buffer's IOVA to the frame
  std::uint32_t first = 0;       ///< the lower half of a completion's low word for slot 0 of `heads`: a whole frame
                                 ///< without metadata
};

/// The parameters of a receive queue.
struct RxQueueSetup {
  QueueMemory memory;
  std::uint32_t size = 0;  ///< of each ring
  std::uint32_t buffer_bytes = 0;
  std::uint32_t index = 0;
  std::uint32_t queues = 0;  ///< of the port
  std::shared_ptr<MempoolCore> pool;
  std::shared_ptr<MempoolCacheCore> cache;
  std::uint16_t port = 0;
};

/// Bytes of DMA memory for a receive queue: two rings, then a completion for each buffer.
[[nodiscard]] constexpr std::size_t rx_bytes(std::uint32_t size) noexcept {
  return std::size_t{size} * 2 * (sizeof(reg::Descriptor) + sizeof(reg::Completion));
}

/// A receive queue: all that bursts read and write. rx_burst.cpp has them. Frames begin in a buffer of `heads`, and go
/// on in those of `bodies`.
struct alignas(kApart) RxRings : paravirtual::ParavirtualRxQueue {
  using ParavirtualRxQueue::ParavirtualRxQueue;

  [[nodiscard]] bool is_ready(std::uint32_t position) const noexcept {
    return ((completions[position & mask].high & reg::kCompletionGeneration) != 0) == ((position & (mask + 1)) == 0);
  }

  /// Moves on to the next completion. The fast path leaves the first of a lap to the slow path, which calls this.
  void pass() noexcept {
    if ((next & mask) == 0) path.shortest ^= reg::kCompletionGeneration;
    ++next;
  }

  // First cache line, behind the base's members.
  const reg::Completion* completions = nullptr;
  std::uint32_t next = 0;  // position of the next completion
  std::uint32_t mask = 0;
  RxFastPath path;
  std::uint32_t room = 0;
  BufferRing heads;

  alignas(64) BufferRing bodies;
  const reg::RxQueueShared* shared = nullptr;
  Bar queue_bar;
  std::uint32_t index = 0;
  std::uint32_t queues = 0;
  std::atomic<std::uint32_t> mtu{1500};
  std::atomic<bool> merges{false};  // LRO
  const VlansInSoftware* vlans = nullptr;
};

/// A receive queue's control. While `software` is active, `filter` is not promiscuous: the fast path looks at no tag.
class Vmxnet3RxQueue : public RxRings {
 public:
  Vmxnet3RxQueue(const RxFilter& filter, bool sleeps, const VlansInSoftware& software);

  /// Control path, in this order. All but `close` need the gate closed.
  void setup(RxQueueSetup setup);
  /// `count`: that of the slots of `heads`, or of both rings. The device does not use the buffers before it is
  /// activated.
  [[nodiscard]] Result<void> fill(std::uint32_t count, std::span<Mbuf* const> given) override;
  /// Says in `of_device` where the rings are.
  void describe(reg::RxQueueShared& of_device, const Bar& bar, std::uint8_t vector);
  void open() noexcept override;
  std::uint32_t drain(DrainReason reason, std::span<Mbuf*> kept) noexcept override;
  void retire() noexcept override;

  [[nodiscard]] std::uint32_t size() const noexcept { return heads.mask + 1; }
  [[nodiscard]] std::uint32_t buffers() const noexcept override { return buffers_; }
  /// Whether a frame may have several.
  [[nodiscard]] bool several() const noexcept { return buffers_ > size(); }

  [[nodiscard]] std::optional<RxDescriptorStatus> descriptor_status(std::uint32_t offset) const noexcept override;

 private:
  [[nodiscard]] bool watch() noexcept override;
  void unwatch() noexcept override;

  std::uint32_t buffers_ = 0;
  Doorbell interrupt_;
  std::vector<Mbuf*> slot_memory_;
  QueueMemory memory_;
};

/// The bursts of a receive queue. `one_delta`: IOVA minus address is the same for the whole pool.
[[nodiscard]] RxQueue::BurstFunction* rx_burst_function(bool one_delta) noexcept;

}  // namespace pollux::drivers::vmxnet3
