// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "ports/common/rx_queue.hpp"
#include "ports/common/tx_queue.hpp"
#include "ports/ring/cable.hpp"

namespace pollux::ring {

/// Takes frames out of a lane. They are the sender's own mbufs; one whose bytes others share is copied, since whoever
/// receives a frame may write into it. A frame for which the pool has no copy waits.
class RxQueue final : public ports::RxQueue {
 public:
  RxQueue(const ports::RxRules& rules, Lane& lane) noexcept : ports::RxQueue(&burst, rules), lane_(lane) {}

  /// Drops all that waits. With the queue closed.
  void drain() noexcept;

 private:
  static std::uint32_t burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;
  [[nodiscard]] Mbuf* receive(Mbuf& frame) noexcept;

  Lane& lane_;
};

/// Puts frames into a lane.
class TxQueue final : public ports::TxQueue {
 public:
  explicit TxQueue(Lane& lane) noexcept : ports::TxQueue(&burst), lane_(lane) {}

  /// Takes back what nobody will receive. With this queue and the lane's receiver closed.
  void take_back() noexcept;

 private:
  static std::uint32_t burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;

  Lane& lane_;
};

}  // namespace pollux::ring
