// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "mem/mempool_core.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/port_config.hpp"

namespace pollux::igb {

/// A configuration that was found good, in the terms of the driver.
struct Plan {
  std::uint16_t rx_queues = 0;
  std::uint16_t tx_queues = 0;
  std::uint32_t rx_ring = 0;
  std::uint32_t tx_ring = 0;
  std::uint32_t mtu = 1500;
  bool promiscuous = false;
  bool all_multicast = false;
  BurstPath burst_path = BurstPath::best;
  std::uint32_t buffer_bytes = 0;  ///< of one receive buffer, a multiple of 1,024; 0 without receive queues
  std::shared_ptr<MempoolCore> pool = nullptr;        ///< null without receive queues
  std::shared_ptr<MempoolCacheCore> cache = nullptr;  ///< null: each receive queue gets one of its own
};

/// Checks `config` whole and touches nothing. `port` names the port in messages; `context` is the port's.
/// Error invalid_argument: names the value, its range and, for rings, the nearest size that is allowed.
[[nodiscard]] Result<Plan> check_config(const PortConfig& config, const ContextState& context, std::string_view port);

/// Whether frames of `mtu` fit the receive rings of `plan`, and the MTU its limits. Error invalid_argument.
[[nodiscard]] Result<void> check_mtu(std::uint32_t mtu, const Plan& plan, std::string_view port);

/// What SRRCTL.BSIZEPACKET can tell the card of a buffer with `room` bytes: whole KiB, at most 127.
[[nodiscard]] std::uint32_t usable_buffer_bytes(std::uint32_t room) noexcept;

/// The power of two within the card's limits that is nearest to `size`.
[[nodiscard]] std::uint32_t nearest_ring(std::uint32_t size) noexcept;

}  // namespace pollux::igb
