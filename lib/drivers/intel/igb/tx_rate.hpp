// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <bitset>
#include <cstdint>

#include "drivers/intel/igb/card.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/settings.hpp"

namespace pollux::drivers::igb {

/// The rate limits of a port's transmit queues and pools. The card has them as fractions of the link's speed, so they
/// are written when the link comes up, and again when it has another speed.
class TxRates {
 public:
  /// `card` outlives the object.
  explicit TxRates(const igb::Card& card) noexcept : card_(card) {}

  /// Whether the function has enabled its second queue, with which it shares its limit.
  void note_second_queue(std::uint32_t function, bool used, const Settings& settings);

  /// The card was reset: no limit is in force.
  void forget() noexcept {
    speed_ = 0;
    uses_both_.reset();
  }
  /// Writes what differs, if the link has been up.
  void apply(const Settings& from, const Settings& to) const;
  /// Call it on a running port with its link.
  void follow(const Link& link, const Settings& settings);

 private:
  /// A rate that several queues share equally; 0: no limit.
  struct Rate {
    std::uint32_t megabits = 0;
    std::uint32_t queues = 1;
    bool is_slowest = false;  ///< the lowest rate of the card instead

    [[nodiscard]] bool operator==(const Rate&) const = default;
  };
  [[nodiscard]] Rate function_rate(std::uint32_t queue, std::uint32_t megabits) const noexcept;
  [[nodiscard]] Rate rate(std::uint32_t queue, const Settings& settings) const noexcept;
  void write(std::uint32_t queue, const Rate& rate) const;

  const igb::Card& card_;
  std::bitset<hw::igb::kPools> uses_both_;  ///< functions whose second queue is enabled
  std::uint32_t speed_ = 0;                 // of the link for which the registers were written; 0: they were not
};

}  // namespace pollux::drivers::igb
