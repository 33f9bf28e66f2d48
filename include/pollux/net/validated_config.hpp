// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/port_config.hpp"

namespace pollux {

/// What a receive queue gets.
struct POLLUX_API ValidatedRxQueue {
  std::uint32_t ring = 0;                             ///< descriptors
  std::uint32_t buffer_bytes = 0;                     ///< of a receive buffer, a multiple of PortLimits::buffer_unit
  std::shared_ptr<MempoolCore> pool = nullptr;        ///< never null where a driver sees it
  std::shared_ptr<MempoolCacheCore> cache = nullptr;  ///< of `pool`; null: the queue gets one of its own

  /// A handle on the pool.
  [[nodiscard]] Mempool mempool() const { return Mempool(pool); }
};

/// What a transmit queue gets.
struct POLLUX_API ValidatedTxQueue {
  std::uint32_t ring = 0;                             ///< descriptors
  std::shared_ptr<MempoolCacheCore> cache = nullptr;  ///< null: one of its own, or none
};

/// A configuration that was found good: what a driver gets.
struct POLLUX_API ValidatedConfig {
  std::vector<ValidatedRxQueue> rx = {};  ///< each receive queue, by index
  std::vector<ValidatedTxQueue> tx = {};  ///< each transmit queue, by index
  std::uint32_t mtu = 1500;
  bool promiscuous = false;
  bool all_multicast = false;
  BurstMode burst_mode = BurstMode::best;
  /// The pool that the port has to make for the queues that were given none, and that pool once it is made.
  std::optional<MempoolOptions> own_pool = std::nullopt;
  std::shared_ptr<MempoolCore> made_pool = nullptr;

  [[nodiscard]] std::uint16_t rx_queues() const noexcept { return static_cast<std::uint16_t>(rx.size()); }
  [[nodiscard]] std::uint16_t tx_queues() const noexcept { return static_cast<std::uint16_t>(tx.size()); }
  /// Of the queue's pool, which is there or to be made.
  [[nodiscard]] const MempoolOptions& pool_options(const ValidatedRxQueue& queue) const;
  /// How many receive queues use that pool, and how many descriptors their rings have together.
  [[nodiscard]] std::uint32_t queues_of(const MempoolCore* pool) const noexcept;
  [[nodiscard]] std::uint64_t descriptors_of(const MempoolCore* pool) const noexcept;
};

}  // namespace pollux
