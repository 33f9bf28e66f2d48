// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "ports/common/rx_queue.hpp"
#include "ports/common/tx_queue.hpp"
#include "ports/ring/ring_pair.hpp"

namespace pollux::ring {

/// Takes frames out of a ring. They are the sender's own mbufs; one whose bytes others share is copied, since whoever
/// receives a frame may write into it. A frame for which the pool has no copy waits.
class RxQueue final : public ports::RxQueue {
 public:
  RxQueue(const ports::RxRules& rules, FrameRing& ring) noexcept : ports::RxQueue(&burst, rules), ring_(ring) {}

  /// Drops all that waits. With the queue closed.
  void drain() noexcept;

 private:
  static std::uint32_t burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;
  [[nodiscard]] Mbuf* receive(Mbuf& frame) noexcept;

  FrameRing& ring_;
};

/// Puts frames into a ring.
class TxQueue final : public ports::TxQueue {
 public:
  explicit TxQueue(FrameRing& ring) noexcept : ports::TxQueue(&burst), ring_(ring) {}

  /// Takes back what nobody will receive. With this queue and the ring's receiver closed.
  void take_back() noexcept;

 private:
  static std::uint32_t burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;

  FrameRing& ring_;
};

}  // namespace pollux::ring
