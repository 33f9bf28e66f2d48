// SPDX-License-Identifier: BSD-3-Clause
#include "common/account.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string_view>

namespace pollux::tools {
namespace {

/// Every drop reason of a driver begins with the direction of the frame.
std::uint64_t drops_of(const Stats& stats, std::string_view direction) {
  std::uint64_t sum = 0;
  for (const Counter& drop : stats.drops) {
    if (drop.name.starts_with(direction)) sum += drop.value;
  }
  return sum;
}

void add(std::span<const Counter> counters, Drops& drops) {
  for (const Counter& drop : counters) drops[drop.name] += drop.value;
}
void add(std::span<const DropCounter* const> counters, Drops& drops) {
  for (const DropCounter* drop : counters) drops[drop->name()] += drop->value();
}

template <class Work>
void for_each_tx_queue(Port& port, Work work) {
  for (std::uint16_t index = 0; TxQueue* const queue = port.tx_queue(index); ++index) work(*queue);
}

std::uint64_t frames_in_flight(Port& port) {
  std::uint64_t sum = 0;
  for_each_tx_queue(port, [&sum](const TxQueue& queue) { sum += queue.in_flight(); });
  return sum;
}

}  // namespace

std::uint64_t Account::dropped() const {
  std::uint64_t sum = 0;
  for (const auto& [name, count] : drops) sum += count;
  return sum;
}

std::int64_t Account::difference() const {
  return static_cast<std::int64_t>(received + made) - static_cast<std::int64_t>(sent + dropped() + in_flight + kept);
}

std::string Account::conservation() const {
  if (conserved()) return "yes";
  if (difference() != 0) {
    return fmt::format("no, {} frames {}", difference() > 0 ? difference() : -difference(),
                       difference() > 0 ? "are missing" : "too many");
  }
  return fmt::format("no, {} buffers were not returned to the pool", mbufs_in_use);
}

void drain(std::span<Port> ports, Clock& clock, Duration limit) {
  const auto empty = [&] {
    std::uint64_t left = 0;
    for (Port& port : ports) {
      for_each_tx_queue(port, [](TxQueue& queue) { queue.tx_done_cleanup(); });
      left += frames_in_flight(port);
    }
    return left == 0;
  };
  // Frames that are still in flight after the limit are counted as drops when the port is stopped.
  static_cast<void>(wait_until(clock, "the emptying of the transmit queues", limit, empty));
}

Result<void> stop_all(std::span<Port> ports) {
  Result<void> result;
  const auto note = [&result](Result<void> step) {
    if (!step && result) result = std::move(step);
  };
  for (Port& port : ports) {
    if (port.state() == PortState::started) note(port.stop());
    // A failed port keeps its buffers until its card is released. It can only be closed.
    if (port.state() == PortState::failed) note(port.close());
  }
  return result;
}

Account take_account(std::span<Port> ports, const Mempool& pool, std::span<const DropCounter* const> application) {
  Account account;
  for (Port& port : ports) {
    const Stats stats = port.stats();
    const std::uint64_t in_flight = frames_in_flight(port);
    account.received += stats.rx_burst_packets + drops_of(stats, "rx_");
    account.sent += stats.tx_burst_packets - drops_of(stats, "tx_") - in_flight;
    account.in_flight += in_flight;
    add(stats.drops, account.drops);
  }
  add(application, account.drops);
  account.mbufs_in_use = pool.stats().in_use();
  return account;
}

TelemetryAccount telemetry_account(const Account& account) {
  return {.received = account.received,
          .made = account.made,
          .sent = account.sent,
          .in_flight = account.in_flight,
          .kept = account.kept,
          .drops = account.drops};
}

Drops collect_drops(std::span<Port> ports, std::span<const DropCounter* const> application) {
  Drops drops;
  for (Port& port : ports) add(port.stats().drops, drops);
  add(application, drops);
  return drops;
}

std::string describe(const Drops& drops) {
  std::vector<std::string> named;
  for (const auto& [name, count] : drops) {
    if (count != 0) named.push_back(fmt::format("{} {}", name, count));
  }
  return named.empty() ? "none" : fmt::format("{}", fmt::join(named, ", "));
}

namespace {

std::uint64_t removed_buffers(Port& port) {
  for (const Counter& counter : port.extended_stats()) {
    if (counter.name == "removed_buffers") return counter.value;
  }
  return 0;
}

}  // namespace

std::vector<std::string> card_remarks(std::span<Port> ports) {
  std::vector<std::string> remarks;
  for (Port& port : ports) {
    const std::string& name = port.info().name;
    const Stats stats = port.stats();
    const bool exact = port.info().missed_count == MissedCount::exact;
    if (stats.rx_missed_errors + stats.rx_errors != 0) {
      remarks.push_back(fmt::format("lost at {} before it was received: rx_missed_errors {}{}, rx_errors {}", name,
                                    stats.rx_missed_errors, exact ? "" : " at least", stats.rx_errors));
    }
    if (!exact) remarks.push_back(fmt::format("{} does not count every frame that it misses", name));
    if (const std::uint64_t buffers = removed_buffers(port); buffers != 0) {
      remarks.push_back(fmt::format("freed after the card of {} was removed or failed: {} buffers", name, buffers));
    }
  }
  return remarks;
}

nlohmann::ordered_json card_counters(std::span<Port> ports) {
  auto cards = nlohmann::ordered_json::array();
  for (Port& port : ports) {
    const Stats stats = port.stats();
    cards.push_back({{"port", port.info().name},
                     {"rx_packets", stats.rx_packets},
                     {"tx_packets", stats.tx_packets},
                     {"rx_bytes", stats.rx_bytes},
                     {"tx_bytes", stats.tx_bytes},
                     {"rx_errors", stats.rx_errors},
                     {"rx_dropped", stats.rx_dropped},
                     {"tx_dropped", stats.tx_dropped},
                     {"multicast", stats.multicast},
                     {"rx_missed_errors", stats.rx_missed_errors},
                     {"rx_missed_exact", port.info().missed_count == MissedCount::exact},
                     {"removed_buffers", removed_buffers(port)}});
  }
  return cards;
}

}  // namespace pollux::tools
