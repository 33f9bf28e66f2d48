// SPDX-License-Identifier: BSD-3-Clause
#include "net/stats.hpp"

#include <fmt/format.h>

#include <string_view>

namespace pollux {
namespace {

void append_queues(std::vector<Counter>& counters, std::string_view direction, const std::vector<QueueStats>& queues,
                   bool counts_bytes) {
  for (std::size_t i = 0; i < queues.size(); ++i) {
    counters.push_back({fmt::format("{}_queue_{}_packets", direction, i), queues[i].packets});
    counters.push_back({fmt::format("{}_queue_{}_drops", direction, i), queues[i].drops});
    if (counts_bytes || queues[i].bytes != 0) {
      counters.push_back({fmt::format("{}_queue_{}_bytes", direction, i), queues[i].bytes});
    }
  }
}

}  // namespace

void sum_drops(Stats& stats) {
  stats.rx_dropped = stats.tx_dropped = 0;
  for (const Counter& drop : stats.drops) {
    (drop.name.starts_with("rx_") ? stats.rx_dropped : stats.tx_dropped) += drop.value;
  }
}

void put_if_used(std::vector<QueueStats>& queues, std::size_t index, std::size_t in_use, const QueueStats& queue) {
  if (index >= in_use && queue.packets + queue.drops == 0) return;
  if (queues.size() <= index) queues.resize(index + 1);
  queues[index] = queue;
}

std::vector<Counter> interface_counters(const Stats& stats) {
  return {{"rx_packets", stats.rx_packets},
          {"tx_packets", stats.tx_packets},
          {"rx_bytes", stats.rx_bytes},
          {"tx_bytes", stats.tx_bytes},
          {"rx_errors", stats.rx_errors},
          {"tx_errors", stats.tx_errors},
          {"rx_dropped", stats.rx_dropped},
          {"tx_dropped", stats.tx_dropped},
          {"multicast", stats.multicast},
          {"collisions", stats.collisions},
          {"rx_missed_errors", stats.rx_missed_errors},
          {"rx_length_errors", stats.rx_length_errors},
          {"rx_over_errors", stats.rx_over_errors},
          {"rx_crc_errors", stats.rx_crc_errors},
          {"rx_frame_errors", stats.rx_frame_errors},
          {"rx_fifo_errors", stats.rx_fifo_errors},
          {"tx_aborted_errors", stats.tx_aborted_errors},
          {"tx_carrier_errors", stats.tx_carrier_errors},
          {"tx_fifo_errors", stats.tx_fifo_errors},
          {"tx_heartbeat_errors", stats.tx_heartbeat_errors},
          {"tx_window_errors", stats.tx_window_errors},
          {"rx_burst_packets", stats.rx_burst_packets},
          {"tx_burst_packets", stats.tx_burst_packets}};
}

std::vector<Counter> named_counters(const Stats& stats, QueueCounters queues) {
  std::vector<Counter> counters = interface_counters(stats);
  counters.insert(counters.end(), stats.drops.begin(), stats.drops.end());
  append_queues(counters, "rx", stats.rx_queues, queues.bytes);
  append_queues(counters, "tx", stats.tx_queues, queues.bytes);
  for (std::size_t i = 0; queues.misses && i < stats.rx_queues.size(); ++i) {
    counters.push_back({fmt::format("rx_queue_{}_missed_at_least", i), stats.rx_queues[i].missed_at_least});
  }
  return counters;
}

}  // namespace pollux
