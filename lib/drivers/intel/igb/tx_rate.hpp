// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>

#include "drivers/intel/igb/card.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/tx_rate_limit.hpp"

namespace pollux::drivers::igb {

/// The rate limits of a port's transmit queues. The card has them as fractions of the link's speed, so they are written
/// when the link comes up, and again when it has another speed.
class TxRates final : public TxRateLimit {
 public:
  explicit TxRates(const igb::Card& card) noexcept : card_(card) {}

  [[nodiscard]] Result<void> set_tx_rate(std::uint16_t queue, std::uint32_t megabits) override;
  [[nodiscard]] std::uint32_t tx_rate(std::uint16_t queue) const override;

  /// The card was reset: no limit is in force.
  void forget() noexcept { speed_ = 0; }
  /// Call it on a running port with its link.
  void follow(const Link& link);

 private:
  void write(std::uint32_t queue) const;

  const igb::Card& card_;
  std::array<std::uint32_t, hw::igb::kTxQueues> megabits_{};
  std::uint32_t speed_ = 0;  // of the link for which the registers were written; 0: they were not
};

}  // namespace pollux::drivers::igb
