// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "pollux/pollux.hpp"

namespace pollux::examples {

using Drops = std::map<std::string, std::uint64_t>;

/// Where every frame went. "Received" is what the cards delivered to the library, "sent" what the cards were done
/// sending:
///
///     received = what rx_burst handed out + what receive queues threw away ("rx_..." drops)
///     sent     = what tx_burst took - what transmit queues threw away ("tx_..." drops) - in flight
///     drops    = both, and what the application threw away
///
/// For a forwarder received = sent + drops + in flight. A generator makes frames of its own: those are `made`.
struct Account {
  std::uint64_t made = 0;
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
  std::uint64_t in_flight = 0;
  Drops drops;                  ///< by reason, all ports together; also those at zero
  std::uint64_t kept = 0;       ///< received frames that the application was the destination of
  std::uint64_t mbufs_out = 0;  ///< buffers that should be home by now

  [[nodiscard]] std::uint64_t dropped() const;
  /// Frames that came in minus frames accounted for; zero if none was lost on the way.
  [[nodiscard]] std::int64_t difference() const;
  [[nodiscard]] bool conserved() const { return difference() == 0 && mbufs_out == 0; }
  /// "yes", or what is missing.
  [[nodiscard]] std::string verdict() const;
};

/// Lets the transmit queues finish, for at most `limit`. Nothing may send meanwhile.
void drain(std::span<Port> ports, Clock& clock, Duration limit);

/// Stops all ports, even if one of them does not stop cleanly: then the first error, after all were tried. A port that
/// failed is closed, since that is when its buffers come back.
[[nodiscard]] Result<void> stop_all(std::span<Port> ports);

/// Adds up the library's counters and the application's. Exact once the ports have stopped.
[[nodiscard]] Account take_account(std::span<Port> ports, const Mempool& pool,
                                   std::span<const DropCounter* const> application);

/// The library's and the application's drops by reason, all ports together.
[[nodiscard]] Drops collect_drops(std::span<Port> ports, std::span<const DropCounter* const> application);
/// Those above zero: "rx_pool_empty 7, tx_ring_full 9", or "none".
[[nodiscard]] std::string describe(const Drops& drops);

/// What there is to say of each port beside the sum, which frames that a card could not take never reached: those, what
/// the card cannot tell, and buffers that came back from a card that was gone or had failed.
[[nodiscard]] std::vector<std::string> card_remarks(std::span<Port> ports);

/// What each card counted itself, for comparison with the other end of the wire.
[[nodiscard]] nlohmann::ordered_json card_counters(std::span<Port> ports);

}  // namespace pollux::examples
