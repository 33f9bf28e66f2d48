// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>

#include "pollux/net/rx_queue.hpp"
#include "pollux/net/tx_queue.hpp"
#include "ports/ring/ring_pair.hpp"

namespace pollux::ring {

/// Receives frames from a ring. It returns the sender's mbufs. A frame with shared bytes is copied, because the
/// receiver may write to a frame. If the pool is exhausted, such a frame waits in the ring.
class RxQueue final : public pollux::RxQueue {
 public:
  /// `clock`: see barrier_on_all_threads.
  RxQueue(const RxFilter& filter, FrameRing& ring, Clock& clock)
      : pollux::RxQueue(&burst, &filter, ring.wake_event()), ring_(ring), clock_(clock) {}

  /// Drops all waiting frames. Call it with the queue closed.
  void drain() noexcept;

 private:
  static std::uint32_t burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;
  [[nodiscard]] bool watch() noexcept override;
  void unwatch() noexcept override { ring_.disarm(); }
  [[nodiscard]] Mbuf* receive(Mbuf& frame) noexcept;
  /// Frames that were received as they are, and the sum of their lengths.
  struct CommonRun {
    std::uint32_t frames = 0;
    std::uint64_t bytes = 0;
  };
  [[nodiscard]] CommonRun receive_common(std::span<Mbuf* const> frames) const noexcept;
  [[nodiscard]] Mbuf* receive_slow(Mbuf& frame, bool& is_done) noexcept;

  FrameRing& ring_;
  Clock& clock_;
};

/// Sends frames to a ring.
class TxQueue final : public pollux::TxQueue {
 public:
  explicit TxQueue(FrameRing& ring) noexcept : pollux::TxQueue(&burst), ring_(ring) {}

  /// Drops the frames that are still in the ring. Call it with this queue and the receiving queue closed.
  void reclaim() noexcept;

 private:
  static std::uint32_t burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  /// Frames that can be sent as they are, and the sum of their lengths.
  struct PlainRun {
    std::uint32_t frames = 0;
    std::uint64_t bytes = 0;
  };
  [[nodiscard]] PlainRun plain_run(Mbuf* const* frames, std::uint32_t most) const noexcept;
  [[nodiscard]] bool send_slow(Mbuf* frame, bool is_open) noexcept;

  FrameRing& ring_;
};

}  // namespace pollux::ring
