// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "hw/igb/descriptors.hpp"
#include "mem/mempool_core.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/net/tx_queue.hpp"

namespace pollux::igb {

/// What the control path knows of a transmit queue when it sets it up.
struct TxQueueSetup {
  hw::igb::Descriptor* ring = nullptr;  ///< DMA memory, 128-byte aligned, `size` descriptors
  std::uint32_t size = 0;               ///< a power of two, 8 to 4,096
  std::uint32_t max_frame = 0;          ///< bytes without FCS
  Doorbell tail;
  std::shared_ptr<MempoolCacheCore> cache;  ///< null: everything goes back to its pool's shared list
  const ContextState* context = nullptr;    ///< whose mbufs may be sent
};

/// Frames that a transmit queue took and threw away, by reason. Written by the sending thread, read by any.
struct TxDrops {
  std::uint64_t too_short = 0;
  std::uint64_t too_long = 0;
  std::uint64_t too_many_segments = 0;
  std::uint64_t bad_segment = 0;      ///< an empty segment, or data outside its buffer
  std::uint64_t unreachable = 0;      ///< memory that the card cannot read, or of another Context
  std::uint64_t unsupported_offload = 0;
  std::uint64_t stopped = 0;          ///< taken, but the port was stopped before the card was done
};

/// The transmit half of the hot path; tx_burst.cpp holds the burst functions. The first line is what a burst touches.
class alignas(64) TxQueue final : public pollux::TxQueue {
 public:
  TxQueue() = default;

  /// Control path, in this order. All but `close` need the gate closed.
  [[nodiscard]] Result<void> setup(TxQueueSetup setup);
  /// Empties the ring; TDT and TDH are 0 from then on.
  void clear() noexcept;
  void open() noexcept;
  [[nodiscard]] Result<void> close(Clock& clock, Duration limit);
  /// Takes every buffer back. Only when the card does no DMA any more; counts frames it had not finished.
  void drain() noexcept;

  [[nodiscard]] Result<void> use_cache(const MempoolCache& cache) override;
  [[nodiscard]] std::uint32_t in_flight() const noexcept override;
  [[nodiscard]] std::uint64_t packets() const noexcept;
  [[nodiscard]] TxDrops drops() const noexcept;

 private:
  friend struct TxHotPath;
  // Filled in with the hot path.
  std::vector<Mbuf*> slots_;
};

}  // namespace pollux::igb
