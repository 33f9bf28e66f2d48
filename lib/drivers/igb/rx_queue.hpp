// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hw/igb/descriptors.hpp"
#include "mem/mempool_core.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/net/rx_queue.hpp"
#include "pollux/net/stats.hpp"

namespace pollux::igb {

/// What the control path knows of a receive queue when it sets it up.
struct RxQueueSetup {
  hw::igb::Descriptor* ring = nullptr;  ///< DMA memory, 128-byte aligned, `size` descriptors
  std::uint32_t size = 0;               ///< a power of two, 8 to 4,096
  std::uint32_t buffer_bytes = 0;       ///< what SRRCTL.BSIZEPACKET lets the card write into one buffer
  Doorbell tail;
  std::shared_ptr<MempoolCore> pool;
  std::shared_ptr<MempoolCacheCore> cache;
  std::uint16_t port = 0;
};

/// Frames that a receive queue threw away, by reason. Written by the polling thread, read by any.
struct RxDrops {
  std::uint64_t bad_length = 0;    ///< a write-back longer than its buffer, or done without any length for long
  std::uint64_t error = 0;         ///< the card marked the frame bad
  std::uint64_t pool_empty = 0;    ///< no mbuf to put in its place: its buffer went straight back to the card
  std::uint64_t too_many_segments = 0;
  std::uint64_t stopped = 0;       ///< arrived, but the port was stopped before anyone polled
};

/// The receive half of the hot path; rx_burst.cpp holds the burst functions. The first line is what a burst touches.
class alignas(64) RxQueue final : public pollux::RxQueue {
 public:
  RxQueue() = default;

  /// Control path, in this order. All but `close` need the gate closed.
  [[nodiscard]] Result<void> setup(RxQueueSetup setup);
  /// Puts a buffer behind every slot and writes all descriptors. Error no_memory, with nothing taken: the pool is too small.
  [[nodiscard]] Result<void> fill();
  /// What RDT is to be once the queue is enabled: all slots but one armed.
  [[nodiscard]] std::uint32_t first_tail() const noexcept;
  void open() noexcept;
  [[nodiscard]] Result<void> close(Clock& clock, Duration limit);
  /// Takes every buffer back. Only when the card does no DMA any more; counts finished frames nobody polled.
  void drain() noexcept;

  [[nodiscard]] Result<void> use_cache(const MempoolCache& cache) override;
  [[nodiscard]] std::uint64_t packets() const noexcept;
  [[nodiscard]] RxDrops drops() const noexcept;

 private:
  friend struct RxHotPath;
  // Filled in with the hot path.
  std::vector<Mbuf*> slots_;
};

}  // namespace pollux::igb
