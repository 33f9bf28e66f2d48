// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ports/common/rx_queue.hpp"
#include "ports/common/tx_queue.hpp"

namespace pollux::null {

/// Makes copies of a frame as often as asked, or nothing if the frame is empty.
class RxQueue final : public ports::RxQueue {
 public:
  RxQueue(const ports::RxRules& rules, const std::vector<std::uint8_t>& frame) noexcept
      : ports::RxQueue(&burst, rules), frame_(frame) {}

 private:
  static std::uint32_t burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;

  std::span<const std::uint8_t> frame_;
};

/// Counts frames and gives them back.
class TxQueue final : public ports::TxQueue {
 public:
  TxQueue() noexcept : ports::TxQueue(&burst) {}

 private:
  static std::uint32_t burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;
};

}  // namespace pollux::null
