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

/// What `Stats::rx_missed_errors` is worth.
enum class MissedCount : std::uint8_t {
  exact,        ///< every frame that the port had no room for, to the frame
  lower_bound,  ///< the card drops frames that nothing counts, as QEMU's does
};

/// One queue's part of a port's counters.
struct QueueStats {
  std::uint64_t packets = 0;  ///< frames that rx_burst handed out, or that tx_burst took
  /// Frames that the library threw away: of a receive queue beside `packets`, of a transmit queue out of them.
  std::uint64_t drops = 0;
  /// Frames that a receive queue had no descriptor for, as far as the card tells which queue it was.
  std::uint64_t missed_at_least = 0;
};

/// A port's counters under the names that Linux's rtnl_link_stats64 uses, and with their meaning
/// (include/uapi/linux/if_link.h) but for what is said here. None ever goes back.
///
/// Once a port is stopped, on one whose PortInfo::missed_count is `exact`, every good frame has one place:
///
///     frames that came = rx_burst_packets + rx_dropped + rx_missed_errors
///
/// While it runs, those in its rings and in the card's buffer have none yet. They are not in `rx_missed_errors`, and
/// while frames arrive that counter may lag behind; it is exact as soon as none is on its way and nobody polls.
struct Stats {
  /// Good frames that the card took from the wire, as DPDK counts. Of several receive queues that includes frames
  /// which then found no descriptor (Linux counts here what reached the host: that is rx_burst_packets + rx_dropped).
  std::uint64_t rx_packets = 0;
  std::uint64_t tx_packets = 0;  ///< good frames that the card put on the wire
  std::uint64_t rx_bytes = 0;    ///< of rx_packets, without FCS
  std::uint64_t tx_bytes = 0;    ///< of tx_packets, without FCS
  std::uint64_t rx_errors = 0;   ///< bad frames: the four detailed receive errors, and symbol errors within frames
  std::uint64_t tx_errors = 0;   ///< the five detailed transmit errors together
  std::uint64_t rx_dropped = 0;  ///< all of `drops` that begin with "rx_"
  std::uint64_t tx_dropped = 0;  ///< all of `drops` that begin with "tx_"
  std::uint64_t multicast = 0;   ///< multicast frames received; broadcasts are none
  std::uint64_t collisions = 0;
  /// Frames for which there was no room: in the packet buffer, in a receive ring, or in a ring until the port stopped.
  std::uint64_t rx_missed_errors = 0;

  std::uint64_t rx_length_errors = 0;     ///< too short or too long
  std::uint64_t rx_over_errors = 0;       ///< 0: such frames are in rx_missed_errors
  std::uint64_t rx_crc_errors = 0;        ///< wrong FCS
  std::uint64_t rx_frame_errors = 0;      ///< alignment
  std::uint64_t rx_fifo_errors = 0;       ///< 0: such frames are in rx_missed_errors
  std::uint64_t tx_aborted_errors = 0;    ///< excessive collisions
  std::uint64_t tx_carrier_errors = 0;    ///< no carrier while sending, half duplex
  std::uint64_t tx_fifo_errors = 0;       ///< 0: no card that is driven tells of any
  std::uint64_t tx_heartbeat_errors = 0;  ///< 0: no card that is driven tells of any
  std::uint64_t tx_window_errors = 0;     ///< late collisions

  std::uint64_t rx_burst_packets = 0;  ///< frames that rx_burst handed out, all queues
  std::uint64_t tx_burst_packets = 0;  ///< frames that tx_burst took, all queues; some may be refused under `drops`
  /// Frames the library threw away, each under its reason, such as "rx_pool_empty" or "tx_too_long"; every reason that
  /// the driver knows is listed, also at zero.
  std::vector<Counter> drops;
  /// Every queue that is configured, or was and counted something.
  std::vector<QueueStats> rx_queues;
  std::vector<QueueStats> tx_queues;

  [[nodiscard]] std::uint64_t dropped() const noexcept {
    std::uint64_t sum = 0;
    for (const Counter& drop : drops) sum += drop.value;
    return sum;
  }
};

}  // namespace pollux
