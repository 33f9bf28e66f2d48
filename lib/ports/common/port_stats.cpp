// SPDX-License-Identifier: BSD-3-Clause
// The statistics of a software port, from the counters of its queues.
#include <algorithm>
#include <numeric>

#include "net/stats.hpp"
#include "ports/common/port.hpp"

namespace pollux::ports {
namespace {

void add(RxCounters& sum, const RxCounters& more) {
  sum.packets += more.packets;
  sum.bytes += more.bytes;
  sum.multicast += more.multicast;
  sum.handed_out += more.handed_out;
  sum.errors += more.errors;
  for (std::size_t i = 0; i < sum.drops.size(); ++i) sum.drops[i] += more.drops[i];
}

void add(TxCounters& sum, const TxCounters& more) {
  sum.taken += more.taken;
  sum.sent += more.sent;
  sum.bytes += more.bytes;
  for (std::size_t i = 0; i < sum.drops.size(); ++i) sum.drops[i] += more.drops[i];
}

template <class Drops>
std::uint64_t sum_of(const Drops& drops) {
  return std::accumulate(drops.begin(), drops.end(), std::uint64_t{0});
}

}  // namespace

RxCounters Port::received(std::vector<QueueStats>& queues) const {
  RxCounters sum;
  for (std::uint16_t queue = 0; queue < info_.limits.max_rx_queues; ++queue) {
    const RxQueue& rx = medium_->rx(queue);
    const RxCounters more = rx.counters();
    add(sum, more);
    put_if_used(queues, queue, rx_queues_,
                {.packets = more.handed_out, .drops = sum_of(more.drops), .bytes = rx.bytes()});
  }
  return sum;
}

TxCounters Port::transmitted(std::vector<QueueStats>& queues) const {
  TxCounters sum;
  for (std::uint16_t queue = 0; queue < info_.limits.max_tx_queues; ++queue) {
    const TxQueue& tx = medium_->tx(queue);
    const TxCounters more = tx.counters();
    add(sum, more);
    put_if_used(queues, queue, tx_queues_, {.packets = more.taken, .drops = sum_of(more.drops), .bytes = tx.bytes()});
  }
  return sum;
}

Stats Port::stats() {
  Stats stats;
  const RxCounters rx = received(stats.rx_queues);
  const TxCounters tx = transmitted(stats.tx_queues);
  stats.rx_packets = rx.packets;
  stats.tx_packets = tx.sent;
  stats.rx_bytes = rx.bytes;
  stats.tx_bytes = tx.bytes;
  stats.rx_errors = rx.errors;
  stats.multicast = rx.multicast;
  stats.rx_burst_packets = rx.handed_out;
  stats.tx_burst_packets = tx.taken;
  const auto rx_drop = [&](RxDrop why) {
    const auto i = static_cast<std::size_t>(why);
    stats.drops.push_back({std::string(kRxDropNames[i]), rx.drops[i]});
  };
  const auto tx_drop = [&](TxDrop why) {
    const auto i = static_cast<std::size_t>(why);
    stats.drops.push_back({std::string(kTxDropNames[i]), tx.drops[i]});
  };
  const MediumTraits& traits = medium_->traits();
  std::for_each(traits.rx_drops.begin(), traits.rx_drops.end(), rx_drop);
  std::for_each(kCommonTxDrops.begin(), kCommonTxDrops.end(), tx_drop);
  std::for_each(traits.tx_drops.begin(), traits.tx_drops.end(), tx_drop);
  return stats;
}

}  // namespace pollux::ports
