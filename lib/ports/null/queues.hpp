// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ports/common/rx_queue.hpp"
#include "ports/common/tx_queue.hpp"

namespace pollux::null {

/// Returns copies of a frame, or no frames if it is empty.
class RxQueue final : public ports::RxQueue {
 public:
  RxQueue(const ports::RxFilter& filter, const std::vector<std::uint8_t>& frame)
      : ports::RxQueue(&burst, filter), frame_(frame) {}

 private:
  static std::uint32_t burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;
  [[nodiscard]] bool watch() noexcept override { return frame_.empty(); }

  std::span<const std::uint8_t> frame_;
};

/// Counts frames as sent and frees them.
class TxQueue final : public ports::TxQueue {
 public:
  TxQueue() noexcept : ports::TxQueue(&burst) {}

 private:
  static std::uint32_t burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;
};

}  // namespace pollux::null
