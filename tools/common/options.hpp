// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pollux/base/clock.hpp"
#include "pollux/net/burst_mode.hpp"
#include "pollux/net/loopback.hpp"

namespace pollux::tools {

inline constexpr std::uint32_t kMaxBurst = 512;

/// The port options of every example.
struct PortOptions {
  std::uint32_t burst = 32;   ///< frames per poll, 1 to kMaxBurst
  std::uint32_t rx_ring = 0;  // 0: the port's default
  std::uint32_t tx_ring = 0;
  std::uint32_t mbufs = 8192;
  std::uint32_t mtu = 1500;
  double wait_link = 10;  ///< seconds
  BurstMode burst_mode = BurstMode::best;
  LoopbackMode loopback = LoopbackMode::none;
  std::uint16_t queues = 1;          ///< in each direction of each port
  std::vector<unsigned> cores = {};  ///< a thread on each; empty: `workers` threads, which may run anywhere
  std::size_t workers = 1;           ///< threads that poll queues; without effect if there are cores
  bool telemetry = false;            ///< answer requests of `pollux ports`, `pollux stats` and other clients
  std::string handover = {};         ///< path of a socket: takes ports over there, then offers them; empty: does not
  bool promiscuous = true;           ///< where the ports support it
  bool fused = false;                ///< ports forward by exchanging buffers; a second transmit queue is for bursts
};

/// The output options of every example, and when it ends.
struct RunOptions {
  std::optional<double> seconds;
  bool json = false;
  bool quiet = false;  ///< no line every second
};

/// The threads that poll queues. Queue q belongs to thread q modulo this.
[[nodiscard]] inline std::size_t worker_count(const PortOptions& options) noexcept {
  return options.cores.empty() ? options.workers : options.cores.size();
}

[[nodiscard]] Duration from_seconds(double seconds);
[[nodiscard]] double to_seconds(Duration span);

}  // namespace pollux::tools
