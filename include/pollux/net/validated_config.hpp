// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "pollux/base/api.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/port_config.hpp"

namespace pollux {

/// A configuration that was found good: what a driver gets.
struct POLLUX_API ValidatedConfig {
  std::uint16_t rx_queues = 0;
  std::uint16_t tx_queues = 0;
  std::uint32_t rx_ring = 0;
  std::uint32_t tx_ring = 0;
  std::uint32_t mtu = 1500;
  bool promiscuous = false;
  bool all_multicast = false;
  BurstMode burst_mode = BurstMode::best;
  std::uint32_t buffer_bytes = 0;  ///< of a receive buffer, a multiple of PortLimits::buffer_unit; 0 without queues
  /// The pool that the port has to make, since none was given; `pool` is that pool afterwards.
  std::optional<MempoolOptions> own_pool = std::nullopt;
  std::shared_ptr<MempoolCore> pool = nullptr;        ///< null without receive queues
  std::shared_ptr<MempoolCacheCore> cache = nullptr;  ///< null: each receive queue gets one of its own

  /// Of the pool that is there or to be made, with receive queues.
  [[nodiscard]] const MempoolOptions& pool_options() const;
  /// A handle on the pool, with receive queues.
  [[nodiscard]] Mempool mempool() const { return Mempool(pool); }
};

}  // namespace pollux
