// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "pollux/base/clock.hpp"
#include "pollux/net/burst_mode.hpp"

namespace pollux::examples {

/// Exit status for a command line that cannot be understood; a failure at work is 1.
inline constexpr int kUsageError = 2;
inline constexpr std::uint32_t kMaxBurst = 512;

/// What every example asks of its ports.
struct PortOptions {
  std::uint32_t burst = 32;  ///< frames a poll, 1 to kMaxBurst
  std::uint32_t rx_ring = 512;
  std::uint32_t tx_ring = 512;
  std::uint32_t mbufs = 8192;
  std::uint32_t mtu = 1500;
  double wait_link = 10;  ///< seconds
  BurstMode burst_mode = BurstMode::best;
  bool fused = false;  ///< ports forward by exchanging buffers; a second transmit queue is left for bursts
};

/// What every example says, and when it ends.
struct RunOptions {
  std::optional<double> seconds;
  bool json = false;
  bool quiet = false;  ///< no line a second
};

[[nodiscard]] Duration from_seconds(double seconds);
[[nodiscard]] double to_seconds(Duration span);

}  // namespace pollux::examples
