// SPDX-License-Identifier: BSD-3-Clause
// What a software port answers and lets be changed while it runs.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "net/stats.hpp"
#include "ports/common/port.hpp"

namespace pollux::ports {
namespace {

/// Nothing has to be folded; at this pace a medium that has gone is noticed.
constexpr Duration kServiceInterval = std::chrono::seconds(10);

bool is_station_address(const MacAddress& mac) {
  return (mac[0] & 1) == 0 && std::any_of(mac.begin(), mac.end(), [](std::uint8_t byte) { return byte != 0; });
}

}  // namespace

pollux::RxQueue* Port::rx_queue(std::uint16_t index) { return index < plan_.rx_queues ? &medium_->rx(index) : nullptr; }

pollux::TxQueue* Port::tx_queue(std::uint16_t index) { return index < plan_.tx_queues ? &medium_->tx(index) : nullptr; }

Result<void> Port::set_mac(const MacAddress& mac) {
  if (auto fits = expect({PortState::opened, PortState::configured, PortState::started}, "set_mac"); !fits) return fits;
  if (!is_station_address(mac)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: {} cannot be a port's address", info_.name, to_string(mac)),
                "use an address that is not all zero and whose first byte is even");
  }
  mac_ = mac;
  medium_->rules().set_mac(mac);
  return {};
}

Result<void> Port::set_mtu(std::uint32_t bytes) {
  if (auto fits = expect({PortState::configured, PortState::started}, "set_mtu"); !fits) return fits;
  if (auto good = check_mtu(bytes, plan_, info_.limits, info_.name); !good) return good;
  if (auto changed = medium_->set_mtu(bytes); !changed) return changed;
  plan_.mtu = bytes;
  medium_->rules().set_mtu(bytes);
  return {};
}

Result<void> Port::set_promiscuous(bool on) {
  if (auto fits = expect({PortState::configured, PortState::started}, "set_promiscuous"); !fits) return fits;
  plan_.promiscuous = on;
  medium_->rules().set_promiscuous(on);
  return {};
}

Result<void> Port::set_all_multicast(bool on) {
  if (auto fits = expect({PortState::configured, PortState::started}, "set_all_multicast"); !fits) return fits;
  plan_.all_multicast = on;
  medium_->rules().set_all_multicast(on);
  return {};
}

Link Port::link() {
  if (state_ != PortState::started) return {};
  return medium_->link();
}

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
    const RxCounters more = medium_->rx(queue).counters();
    add(sum, more);
    put_if_used(queues, queue, rx_queues_, {.packets = more.handed_out, .drops = sum_of(more.drops)});
  }
  return sum;
}

TxCounters Port::transmitted(std::vector<QueueStats>& queues) const {
  TxCounters sum;
  for (std::uint16_t queue = 0; queue < info_.limits.max_tx_queues; ++queue) {
    const TxCounters more = medium_->tx(queue).counters();
    add(sum, more);
    put_if_used(queues, queue, tx_queues_, {.packets = more.taken, .drops = sum_of(more.drops)});
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
  sum_drops(stats);
  return stats;
}

std::vector<Counter> Port::extended_stats() {
  std::vector<Counter> counters = named_counters(stats(), false);
  medium_->append(counters);
  return counters;
}

Result<Duration> Port::service() {
  if (state_ == PortState::failed) return tl::unexpected<Error>(failure_);
  if (auto fits = expect({PortState::opened, PortState::configured, PortState::started}, "service"); !fits) {
    return pass_on(std::move(fits));
  }
  auto well = medium_->service();
  if (well) return kServiceInterval;
  if (state_ == PortState::started) {
    // A poller that does not come out keeps its medium; a later call finds the same fault.
    if (auto stopped = stop(); !stopped) return pass_on(std::move(well));
  }
  state_ = PortState::failed;
  failure_ = well.error();
  return pass_on(std::move(well));
}

}  // namespace pollux::ports
