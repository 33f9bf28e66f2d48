// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <vector>

#include "pollux/net/stats.hpp"

namespace pollux {

/// Sets rx_dropped and tx_dropped to what `drops` says.
void sum_drops(Stats& stats);

/// Puts what queue `index` counted into `queues`, unless it counted nothing and only the first `in_use` are configured.
void put_if_used(std::vector<QueueStats>& queues, std::size_t index, std::size_t in_use, const QueueStats& queue);

/// Every counter of `stats` by name, so that all ports use the same ones: those of rtnl_link_stats64, the drops by
/// reason, and for each queue "rx_queue_0_packets", "rx_queue_0_drops" and so on. `rx_queue_0_missed_at_least` only
/// with `tells_queue`: where something counts a queue's own misses.
[[nodiscard]] std::vector<Counter> named_counters(const Stats& stats, bool tells_queue);

}  // namespace pollux
