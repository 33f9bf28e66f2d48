// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/compiler.hpp"
#include "drivers/paravirtual/tx_queue.hpp"
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

using paravirtual::TxOutcome;

/// The parameters of a transmit queue.
struct TxQueueSetup {
  QueueMemory memory;
  std::uint32_t size = 0;
  TxQueueLimits limits;
  std::shared_ptr<MempoolCacheCore> cache;      ///< null: every buffer returns to its pool's shared list
  std::shared_ptr<const ContextState> context;  ///< mbufs of other Contexts are dropped
};

/// A transmit queue: all that bursts read and write. tx_burst.cpp has its fast path, tx_slow.cpp its slow path. A frame
/// is in the slot of its last descriptor.
struct alignas(kApart) TxRing : paravirtual::ParavirtualTxQueue {
  [[nodiscard]] bool is_ready(std::uint32_t position) const noexcept {
    return ((completions[position & mask].high & reg::kCompletionGeneration) != 0) == ((position & (mask + 1)) == 0);
  }
  [[nodiscard]] std::uint64_t generation(std::uint32_t position) const noexcept {
    return (position & (mask + 1)) == 0 ? reg::tx::kGeneration : 0;
  }
  [[nodiscard]] std::uint32_t free_slots() const noexcept { return mask - (next - clean); }

  reg::Descriptor* descriptors = nullptr;
  const reg::Completion* completions = nullptr;
  Doorbell producer;
  QueueMemory memory;
};

/// A transmit queue's control.
class Vmxnet3TxQueue final : public TxRing {
 public:
  Vmxnet3TxQueue() = default;

  /// Control path, in this order. All but `close` need the gate closed.
  void setup(TxQueueSetup setup);
  void clear() noexcept override;
  /// Says in `of_device` where the rings are.
  void describe(reg::TxQueueShared& of_device, const Bar& bar, std::uint32_t index, std::uint8_t vector);
  void open() noexcept override;
  void retire() noexcept override;
  [[nodiscard]] std::optional<TxDescriptorStatus> descriptor_status(std::uint32_t offset) const noexcept override;

 private:
  [[nodiscard]] std::optional<std::uint32_t> first_unsent() const noexcept override;
  void reclaim_shared() noexcept override;
  /// The position behind the last frame that the device has sent.
  [[nodiscard]] std::uint32_t sent_until() const noexcept;
};

/// The bursts of a transmit queue.
[[nodiscard]] TxQueue::BurstFunction* tx_burst_function() noexcept;
/// Frees the frames that the device has sent, to `cache` if it is not null, while it has as many completions more.
void tx_reclaim(TxRing& queue, MempoolCacheCore* cache, std::uint32_t ahead) noexcept;

// tx_slow.cpp

/// Sends or drops a frame of whatever kind.
TxOutcome tx_send_slow(TxRing& queue, Mbuf* frame) noexcept;

}  // namespace pollux::drivers::vmxnet3
