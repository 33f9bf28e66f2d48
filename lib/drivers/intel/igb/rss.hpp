// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "drivers/intel/igb/card.hpp"
#include "pollux/net/rss.hpp"

namespace pollux::drivers::igb {

/// RSS of one port: keeps the setting, and writes it to the card. Without a setting it spreads frames over all queues:
/// TCP by addresses and ports, other IP by addresses, all other frames to queue 0. With one queue, all frames go to it
/// without a hash.
class RssControl final : public Rss {
 public:
  /// `card` outlives this object.
  explicit RssControl(const drivers::igb::Card& card) noexcept : card_(card) {}

  /// Whether the setting fits a port with `queues` receive queues. Error invalid_argument.
  [[nodiscard]] Result<void> check(std::uint32_t queues) const;
  /// The port has `queues` receive queues from now on; the setting was checked.
  void configured(std::uint32_t queues) noexcept { queues_ = queues; }
  /// Writes the setting. Called at each start, before the card receives. Changes reach the card at once from now on.
  void start();
  void stop() noexcept { running_ = false; }
  /// Whether the setting can choose between the queues of pools that have `queues` each at most. Error
  /// invalid_argument.
  [[nodiscard]] Result<void> check_pools(std::uint32_t queues) const;
  /// The queues belong to pools of up to `queues` queues each, between which RSS chooses; 0: there are no pools. With
  /// pools of one queue the setting is kept, but not written.
  void set_pools(std::uint32_t queues) noexcept { pool_queues_ = queues; }

  [[nodiscard]] Result<void> set_rss(const RssConfig& config) override;
  [[nodiscard]] RssConfig rss() const override;
  [[nodiscard]] std::uint32_t table_size() const override { return reg::kRedirectionEntries; }

 private:
  [[nodiscard]] bool spreads_pools() const noexcept { return pool_queues_ > 1; }
  /// The number of queues that entries of the table may name.
  [[nodiscard]] std::uint32_t choices(std::uint32_t queues) const noexcept {
    return spreads_pools() ? pool_queues_ : queues;
  }
  void write() const;

  const drivers::igb::Card& card_;
  std::optional<RssConfig> setting_;
  std::uint32_t queues_ = 0;  // 0 until the port is configured
  bool running_ = false;
  std::uint32_t pool_queues_ = 0;  // of the largest pool; 0: there are no pools
};

}  // namespace pollux::drivers::igb
