// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <bitset>
#include <cstdint>

#include "drivers/intel/igb/card.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/tx_rate_limit.hpp"

namespace pollux::drivers::igb {

/// The rate limits of a port's transmit queues and pools. The card has them as fractions of the link's speed, so they
/// are written when the link comes up, and again when it has another speed.
class TxRates final : public TxRateLimit {
 public:
  explicit TxRates(const igb::Card& card) noexcept : card_(card) {}

  [[nodiscard]] Result<void> set_tx_rate(std::uint16_t queue, std::uint32_t megabits) override;
  [[nodiscard]] std::uint32_t tx_rate(std::uint16_t queue) const override;
  [[nodiscard]] Result<void> set_pool_tx_rate(std::uint16_t pool, std::uint32_t megabits) override;
  [[nodiscard]] std::uint32_t pool_tx_rate(std::uint16_t pool) const override;

  /// The port has `queues` transmit queues from now on.
  void configured(std::uint32_t queues) noexcept { queues_ = queues; }
  /// The port has `pools` pools from now on; limits of others end. Call it on a stopped port.
  void set_pools(std::size_t pools) noexcept;

  /// The port's queue 0 is the card's queue `functions` from now on; each of the queues before it belongs to a virtual
  /// function. All functions' limits end. Call it on a stopped port.
  void set_functions(std::uint32_t functions) noexcept;
  /// Limits what a virtual function's queues send together. Errors: see set_tx_rate.
  [[nodiscard]] Result<void> set_function_rate(std::uint16_t function, std::uint32_t megabits);
  [[nodiscard]] bool limits_function(std::uint32_t function) const noexcept { return pool_megabits_[function] != 0; }
  /// Whether the function has enabled its second queue, with which it shares its limit.
  void note_second_queue(std::uint32_t function, bool used);
  /// Whether `megabits` can be a limit. Errors: see set_tx_rate.
  [[nodiscard]] Result<void> check(std::uint32_t megabits) const;

  /// The card was reset: no limit is in force.
  void forget() noexcept { speed_ = 0; }
  /// Call it on a running port with its link.
  void follow(const Link& link);

 private:
  /// A rate that several queues share equally; 0: no limit.
  struct Rate {
    std::uint32_t megabits = 0;
    std::uint32_t queues = 1;
    bool is_slowest = false;  ///< the lowest rate of the card instead
  };
  [[nodiscard]] Result<void> limit_pool(std::uint16_t pool, std::uint32_t megabits);
  void write_pool(std::uint32_t pool) const;
  [[nodiscard]] Rate own_rate_of(std::uint32_t queue) const noexcept;
  [[nodiscard]] Rate function_rate_of(std::uint32_t queue) const noexcept;
  [[nodiscard]] Rate rate_of(std::uint32_t queue) const noexcept;
  void write(std::uint32_t queue) const;

  const igb::Card& card_;
  std::array<std::uint32_t, hw::igb::kTxQueues> megabits_{};
  std::array<std::uint32_t, hw::igb::kPools> pool_megabits_{};
  std::bitset<hw::igb::kPools> uses_both_;  ///< functions whose second queue is enabled
  std::size_t pools_ = 0;
  std::uint32_t queues_ = 0;
  std::uint32_t functions_ = 0;
  std::uint32_t speed_ = 0;  // of the link for which the registers were written; 0: they were not
};

}  // namespace pollux::drivers::igb
