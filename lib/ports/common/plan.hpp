// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "mem/mempool_core.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/port_config.hpp"

namespace pollux::ports {

inline constexpr std::uint32_t kEthernetHeaderBytes = 14;
inline constexpr std::uint32_t kVlanTagBytes = 4;
inline constexpr std::uint32_t kFcsBytes = 4;

/// Bytes of the longest frame in memory for an MTU: header, one VLAN tag, payload; no FCS.
[[nodiscard]] constexpr std::uint32_t frame_bytes(std::uint32_t mtu) noexcept {
  return mtu + kEthernetHeaderBytes + kVlanTagBytes;
}

/// A frame's length is 16 bits wide wherever one is looked at.
inline constexpr std::uint32_t kMaxMtu = 65535 - kEthernetHeaderBytes - kVlanTagBytes;
/// The least that IPv4 asks of a link (RFC 791).
inline constexpr std::uint32_t kMinMtu = 68;

/// What every software port can do, but for its number of queues.
[[nodiscard]] constexpr PortLimits common_limits(std::uint16_t rx_queues, std::uint16_t tx_queues) noexcept {
  return {.max_rx_queues = rx_queues,
          .max_tx_queues = tx_queues,
          .min_ring = 8,
          .max_ring = 4096,
          .min_mtu = kMinMtu,
          .max_mtu = kMaxMtu,
          .max_tx_segments = 255,
          .min_frame = kEthernetHeaderBytes};
}

/// A configuration that was found good.
struct Plan {
  std::uint16_t rx_queues = 0;
  std::uint16_t tx_queues = 0;
  std::uint32_t rx_ring = 0;
  std::uint32_t tx_ring = 0;
  std::uint32_t mtu = 1500;
  bool promiscuous = false;
  bool all_multicast = false;
  std::shared_ptr<MempoolCore> pool = nullptr;        ///< null without receive queues
  std::shared_ptr<MempoolCacheCore> cache = nullptr;  ///< null: each receive queue gets one of its own
};

/// Checks `config` whole and touches nothing. `port` names the port in messages; `context` is the port's.
/// Error invalid_argument: names the value and its range.
[[nodiscard]] Result<Plan> check_config(const PortConfig& config, const PortLimits& limits, const ContextState& context,
                                        std::string_view port);

/// Whether `mtu` is within the limits, and its frames fit the pool of `plan`. Error invalid_argument.
[[nodiscard]] Result<void> check_mtu(std::uint32_t mtu, const Plan& plan, const PortLimits& limits,
                                     std::string_view port);

}  // namespace pollux::ports
