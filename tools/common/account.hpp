// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "pollux/pollux.hpp"

namespace pollux::tools {

using Drops = std::map<std::string, std::uint64_t>;

/// Accounts for every frame. "Received" counts the frames that the cards delivered to the library, "sent" those that
/// the cards finished sending:
///
///     received = frames returned by rx_burst + drops of receive queues ("rx_...")
///     sent     = frames taken by tx_burst - drops of transmit queues ("tx_...") - in flight
///     drops    = drops of receive queues + drops of transmit queues + drops of the application
///
/// For a forwarder received = sent + drops + in flight. `made` counts the frames that a generator makes itself.
struct Account {
  std::uint64_t made = 0;
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
  std::uint64_t in_flight = 0;
  Drops drops;                     ///< by reason, of all ports; includes counters at zero
  std::uint64_t kept = 0;          ///< received frames that the application consumed
  std::uint64_t mbufs_in_use = 0;  ///< buffers that should have been freed by now

  [[nodiscard]] std::uint64_t dropped() const;
  /// Frames received or made minus frames accounted for; zero if none is missing.
  [[nodiscard]] std::int64_t difference() const;
  [[nodiscard]] bool conserved() const { return difference() == 0 && mbufs_in_use == 0; }
  /// "yes", or what is missing.
  [[nodiscard]] std::string conservation() const;
};

/// The time limit for sending the last frames.
constexpr Duration kDrainLimit = std::chrono::milliseconds(200);

/// Waits until the transmit queues are empty, at most `limit`. No thread may send meanwhile.
void drain(std::span<Port> ports, Clock& clock, Duration limit);

/// Stops all ports and returns the first error after all were tried. Closes a port that failed, since closing frees its
/// buffers.
[[nodiscard]] Result<void> stop_all(std::span<Port> ports);

/// Adds the counters of the library and of the application. Exact once the ports have stopped.
[[nodiscard]] Account take_account(std::span<Port> ports, const Mempool& pool,
                                   std::span<const DropCounter* const> application);

/// The account as telemetry answers it.
[[nodiscard]] TelemetryAccount telemetry_account(const Account& account);

/// The drops of the library and of the application by reason, of all ports.
[[nodiscard]] Drops collect_drops(std::span<Port> ports, std::span<const DropCounter* const> application);
/// The drops above zero: "rx_pool_empty 7, tx_ring_full 9", or "none".
[[nodiscard]] std::string describe(const Drops& drops);

/// Remarks on each port about frames that are not part of the account: frames that a card missed, whether it counts all
/// of them, and buffers that were freed after a card was removed or failed.
[[nodiscard]] std::vector<std::string> card_remarks(std::span<Port> ports);

/// The counters of each card, for comparison with those of its link partner.
[[nodiscard]] nlohmann::ordered_json card_counters(std::span<Port> ports);

}  // namespace pollux::tools
