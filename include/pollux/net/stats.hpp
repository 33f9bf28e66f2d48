// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pollux {

/// A named 64-bit counter. It starts at 0 when the port is opened and is never reset.
struct Counter {
  std::string name;         ///< such as "rx_pool_empty"
  std::uint64_t value = 0;  ///< only grows
};

/// How exact `Stats::rx_missed_errors` is.
enum class MissedCount : std::uint8_t {
  exact,        ///< counts every frame for which the port had no room
  lower_bound,  ///< the card drops some frames without counting them
};

/// The counters of one queue.
struct QueueStats {
  std::uint64_t packets = 0;  ///< frames that rx_burst returned or tx_burst took
  /// Frames that the library dropped. In a receive queue they are not part of `packets`; in a transmit queue they are.
  std::uint64_t drops = 0;
  /// Bytes of `packets`, without FCS unless the settings keep it. Counted only with Settings::count_bytes.
  std::uint64_t bytes = 0;
  /// Frames that found no free descriptor in this receive queue. A lower bound: the card does not count all of them by
  /// queue.
  std::uint64_t missed_at_least = 0;
};

/// A port's counters, with the names and meanings of Linux's rtnl_link_stats64 (include/uapi/linux/if_link.h) except
/// where stated. No counter ever decreases.
///
/// Once a port with PortInfo::missed_count `exact` is stopped, each good frame that arrived is counted exactly once:
///
///     frames that arrived = rx_burst_packets + rx_dropped + rx_missed_errors
///
/// Each frame that tx_burst took is also counted exactly once:
///
///     tx_burst_packets = tx_packets + tx_dropped
///
/// Exceptions: of a frame that requested segmentation a card counts the segments in tx_packets. If the link is down
/// when the port is stopped, frames that the card has already read may be lost: neither tx_packets nor tx_dropped
/// includes them. On a busy port of virtio-net or `xdp:`, tx_packets and tx_bytes are about a ring of frames behind; on
/// an idle one they are exact, but for frames of several descriptors of a packed ring, which count once they are freed.
///
/// While the port is started, frames in its rings and in the card's buffer are not counted yet. `rx_missed_errors` does
/// not include them and may lag while frames arrive; it is exact when no frame is in transit and no thread polls.
/// Port::stats works in every state. The counters of a removed card keep the values that were last read from it. The
/// equations then no longer hold, but rx_burst_packets, tx_burst_packets and the drops are still correct.
struct Stats {
  /// Good frames that the card received, as in DPDK. With several receive queues, this includes frames that found no
  /// free descriptor. Linux instead counts frames that reached the host: rx_burst_packets + rx_dropped.
  std::uint64_t rx_packets = 0;
  std::uint64_t tx_packets = 0;  ///< good frames that the card sent
  std::uint64_t rx_bytes = 0;    ///< bytes of rx_packets, without FCS
  std::uint64_t tx_bytes = 0;    ///< bytes of tx_packets, without FCS
  /// Bad frames: rx_length_errors, rx_crc_errors, rx_frame_errors and frames with symbol errors. A pcap port counts
  /// malformed records.
  std::uint64_t rx_errors = 0;
  std::uint64_t tx_errors = 0;   ///< the sum of the five detailed transmit errors
  std::uint64_t rx_dropped = 0;  ///< sum of the `drops` that begin with "rx_"
  std::uint64_t tx_dropped = 0;  ///< sum of the `drops` that begin with "tx_"
  std::uint64_t multicast = 0;   ///< received multicast frames, without broadcasts
  std::uint64_t collisions = 0;  ///< of frames that were sent in half duplex
  /// Frames for which there was no room in the packet buffer or in a receive ring, or that were still in a ring when
  /// the port stopped.
  std::uint64_t rx_missed_errors = 0;

  std::uint64_t rx_length_errors = 0;     ///< too short or too long
  std::uint64_t rx_over_errors = 0;       ///< 0: such frames are in rx_missed_errors
  std::uint64_t rx_crc_errors = 0;        ///< wrong FCS
  std::uint64_t rx_frame_errors = 0;      ///< alignment
  std::uint64_t rx_fifo_errors = 0;       ///< 0: such frames are in rx_missed_errors
  std::uint64_t tx_aborted_errors = 0;    ///< excessive collisions
  std::uint64_t tx_carrier_errors = 0;    ///< no carrier while sending, half duplex
  std::uint64_t tx_fifo_errors = 0;       ///< 0: no supported card reports them
  std::uint64_t tx_heartbeat_errors = 0;  ///< 0: no supported card reports them
  std::uint64_t tx_window_errors = 0;     ///< late collisions

  std::uint64_t rx_burst_packets = 0;  ///< frames that rx_burst returned, all queues
  std::uint64_t tx_burst_packets = 0;  ///< frames that tx_burst took, all queues; includes frames counted in `drops`
  /// Frames that the library dropped, by reason, such as "rx_pool_empty" or "tx_too_long". Contains every reason that
  /// the driver knows, even at zero.
  std::vector<Counter> drops;
  /// All configured queues, and removed ones that counted something.
  std::vector<QueueStats> rx_queues;
  std::vector<QueueStats> tx_queues;  ///< see `rx_queues`

  /// The sum of `drops`.
  [[nodiscard]] std::uint64_t dropped() const noexcept {
    std::uint64_t sum = 0;
    for (const Counter& drop : drops) sum += drop.value;
    return sum;
  }
};

}  // namespace pollux
