// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/igb/rx_setup.hpp"
#include "drivers/intel/igb/vlan.hpp"
#include "pollux/net/queue_pools.hpp"

namespace pollux::drivers::igb {

/// The pools of a port: keeps the setting and writes it to the card. Without pools it accesses no register.
class PoolControl {
 public:
  /// What the port's other settings mean for a pool.
  struct Common {
    ReceiveLimit limit;
    bool strip_vlans = false;
    bool keep_fcs = false;
    bool all_multicast = false;
    bool promiscuous = false;
  };

  /// `card` outlives the object.
  explicit PoolControl(const Card& card) noexcept : card_(card) {}

  /// Checks `config` for a port with `queues` receive queues. Error invalid_argument.
  [[nodiscard]] Result<void> check(const QueuePoolsConfig& config, std::uint32_t queues) const;
  /// Keeps a setting that was checked.
  void set(const QueuePoolsConfig& config) { config_ = config; }
  /// The number of queues of the largest pool; 0 without pools.
  [[nodiscard]] static std::uint32_t largest(const QueuePoolsConfig& config) noexcept;
  /// Whether the setting fits a port with `queues` receive queues. Error invalid_argument.
  [[nodiscard]] Result<void> check_queues(std::uint32_t queues) const;
  [[nodiscard]] const QueuePoolsConfig& setting() const noexcept { return config_; }

  [[nodiscard]] bool enabled() const noexcept { return !config_.pools.empty(); }
  /// The VLANs that the port receives because a pool names them. None: it receives all.
  [[nodiscard]] VlanSet vlans() const;
  /// RAH.POOLSEL of the port's own address.
  [[nodiscard]] std::uint32_t own_pools() const noexcept;

  /// Writes the pools. At each start, after RSS, and before the card receives.
  void start(const Common& common) const;
  /// Writes what depends on the port's other settings; at any time.
  void write_common(const Common& common) const;

 private:
  void write_addresses() const;
  void write_vlans() const;

  const Card& card_;
  QueuePoolsConfig config_;
};

}  // namespace pollux::drivers::igb
