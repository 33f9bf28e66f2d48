// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <vector>

#include "pollux/net/stats.hpp"

namespace pollux {

/// Sets rx_dropped and tx_dropped to the sums of `drops`.
void sum_drops(Stats& stats);

/// Stores the counters of queue `index` in `queues`, unless they are zero and the queue is not among the first
/// `in_use`, which are configured.
void put_if_used(std::vector<QueueStats>& queues, std::size_t index, std::size_t in_use, const QueueStats& queue);

/// Counters of queues that not every port has.
struct QueueCounters {
  bool misses = false;  ///< "rx_queue_0_missed_at_least"
  bool bytes = false;   ///< "rx_queue_0_bytes"; also included if a queue has counted some
};

/// The counters of the interface by name: those of rtnl_link_stats64, and the frames of bursts.
[[nodiscard]] std::vector<Counter> interface_counters(const Stats& stats);

/// All counters of `stats` with the names that every port uses: those of the interface, the drops by reason, and for
/// each queue "rx_queue_0_packets", "rx_queue_0_drops" and so on, and those of `queues`.
[[nodiscard]] std::vector<Counter> named_counters(const Stats& stats, QueueCounters queues);

}  // namespace pollux
