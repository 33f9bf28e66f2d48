// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pollux {

/// One counter by name; 64 bits, counts up from the opening of the port and is never reset.
struct Counter {
  std::string name;
  std::uint64_t value = 0;
};

/// A port's counters under the names that Linux's rtnl_link_stats64 uses (include/uapi/linux/if_link.h).
struct Stats {
  std::uint64_t rx_packets = 0;  ///< good frames that the card took from the wire
  std::uint64_t tx_packets = 0;  ///< good frames that the card put on the wire
  std::uint64_t rx_bytes = 0;    ///< of those, with FCS
  std::uint64_t tx_bytes = 0;
  std::uint64_t rx_errors = 0;  ///< CRC, alignment, symbol and length errors together
  std::uint64_t tx_errors = 0;
  std::uint64_t multicast = 0;  ///< multicast frames received
  std::uint64_t collisions = 0;
  std::uint64_t rx_missed_errors = 0;  ///< the card had no room for the frame

  std::uint64_t rx_burst_packets = 0;  ///< frames that rx_burst handed out, all queues
  std::uint64_t tx_burst_packets = 0;  ///< frames that tx_burst took, all queues; some may be refused under `drops`
  /// Frames the library threw away, each under its reason, such as "rx_pool_empty" or "tx_too_long"; every reason that
  /// the driver knows is listed, also at zero.
  std::vector<Counter> drops;

  [[nodiscard]] std::uint64_t dropped() const noexcept {
    std::uint64_t sum = 0;
    for (const Counter& drop : drops) sum += drop.value;
    return sum;
  }
};

}  // namespace pollux
