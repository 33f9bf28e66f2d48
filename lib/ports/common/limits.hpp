// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "net/frame_size.hpp"
#include "pollux/net/port_config.hpp"

namespace pollux::ports {

/// A frame's length is 16 bits wide wherever one is looked at.
inline constexpr std::uint32_t kMaxMtu = 65535 - frame_bytes(0);

/// What every software port can do, but for its number of queues.
[[nodiscard]] constexpr PortLimits common_limits(std::uint16_t rx_queues, std::uint16_t tx_queues) noexcept {
  return {.max_rx_queues = rx_queues,
          .max_tx_queues = tx_queues,
          .min_ring = 8,
          .max_ring = 4096,
          .min_mtu = kMinMtu,
          .max_mtu = kMaxMtu,
          .max_tx_segments = 255,
          .min_frame = kEthernetHeaderBytes,
          .max_rx_segments = 255};
}

}  // namespace pollux::ports
