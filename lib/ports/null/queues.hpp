// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pollux/net/rx_queue.hpp"
#include "pollux/net/tx_queue.hpp"

namespace pollux::null {

/// Returns copies of a frame, or no frames if it is empty.
class RxQueue final : public pollux::RxQueue {
 public:
  /// `frame` outlives the queue.
  explicit RxQueue(const std::vector<std::uint8_t>& frame) : pollux::RxQueue(&burst), frame_(frame) {
    allow_sleeping();
  }

 private:
  static std::uint32_t burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;
  [[nodiscard]] bool watch() noexcept override { return frame_.empty(); }

  std::span<const std::uint8_t> frame_;
};

/// Counts frames as sent and frees them.
class TxQueue final : public pollux::TxQueue {
 public:
  TxQueue() noexcept : pollux::TxQueue(&burst) {}

 private:
  static std::uint32_t burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;
};

}  // namespace pollux::null
