// SPDX-License-Identifier: BSD-3-Clause
#include "top/rates.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pollux::tool::top {
namespace {

/// The change of a count, or nothing if it cannot be told.
Figure change(std::uint64_t before, std::uint64_t now) {
  return now < before ? Figure() : Figure(static_cast<double>(now - before));
}

Figure ratio(Figure part, Figure whole) {
  if (!part || !whole || *whole <= 0) return std::nullopt;
  return *part / *whole;
}

Figure scaled(Figure value, double factor) { return value ? Figure(*value * factor) : Figure(); }

Figure sum(Figure one, Figure other) { return one && other ? Figure(*one + *other) : Figure(); }

/// The counts of the interval between two samples of a queue.
struct MeterChange {
  Figure bursts = {};
  Figure empty_polls = {};
  Figure frames = {};
  Figure busy_cycles = {};
  Figure busy_frames = {};

  void add(const MeterChange& more) {
    bursts = sum(bursts, more.bursts);
    empty_polls = sum(empty_polls, more.empty_polls);
    frames = sum(frames, more.frames);
    busy_cycles = sum(busy_cycles, more.busy_cycles);
    busy_frames = sum(busy_frames, more.busy_frames);
  }
};

MeterChange change_of(const std::optional<MeterSample>& before, const std::optional<MeterSample>& now) {
  if (!before || !now) return {};
  const bool polls = before->empty_polls && now->empty_polls;
  return {change(before->bursts, now->bursts), polls ? change(*before->empty_polls, *now->empty_polls) : Figure(),
          change(before->frames, now->frames), change(before->busy_cycles, now->busy_cycles),
          change(before->busy_frames, now->busy_frames)};
}

QueueRates queue_rates(std::string name, const QueueSample* before, const QueueSample& now, double seconds) {
  QueueRates rates{.name = std::move(name)};
  if (before == nullptr) return rates;
  rates.packets = scaled(change(before->packets, now.packets), 1 / seconds);
  rates.drops = scaled(change(before->drops, now.drops), 1 / seconds);
  if (before->bytes && now.bytes) rates.bits = scaled(change(*before->bytes, *now.bytes), 8 / seconds);
  const MeterChange meter = change_of(before->meter, now.meter);
  rates.empty_polls = ratio(meter.empty_polls, sum(meter.bursts, meter.empty_polls));
  rates.burst = ratio(meter.frames, meter.bursts);
  rates.cycles_per_frame = ratio(meter.busy_cycles, meter.busy_frames);
  return rates;
}

const QueueSample* at(const std::vector<QueueSample>* queues, std::size_t index) {
  return queues != nullptr && index < queues->size() ? &(*queues)[index] : nullptr;
}

void add_queues(PortRates& rates, const char* prefix, const std::vector<QueueSample>* before,
                const std::vector<QueueSample>& now, double seconds) {
  for (std::size_t i = 0; i < now.size(); ++i)
    rates.queues.push_back(queue_rates(fmt::format("{}{}", prefix, i), at(before, i), now[i], seconds));
}

/// What all receive queues measured in the interval.
void add_meters(PortRates& rates, const PortSample& before, const PortSample& now) {
  MeterChange all{.bursts = 0, .empty_polls = 0, .frames = 0, .busy_cycles = 0, .busy_frames = 0};
  std::vector<double> sizes;
  for (std::size_t i = 0; i < now.rx.size(); ++i) {
    const QueueSample* const earlier = at(&before.rx, i);
    if (earlier == nullptr || !earlier->meter || !now.rx[i].meter) continue;
    all.add(change_of(earlier->meter, now.rx[i].meter));
    const Buckets& counts = now.rx[i].meter->burst_sizes;
    sizes.resize(std::max(sizes.size(), counts.size()));
    for (std::size_t n = 0; n < counts.size(); ++n) {
      const std::uint64_t past = n < earlier->meter->burst_sizes.size() ? earlier->meter->burst_sizes[n] : 0;
      sizes[n] += change(past, counts[n]).value_or(0);
    }
  }
  rates.empty_polls = ratio(all.empty_polls, sum(all.bursts, all.empty_polls));
  rates.cycles_per_frame = ratio(all.busy_cycles, all.busy_frames);
  double bursts = 0;
  for (const double count : sizes) bursts += count;
  if (bursts <= 0) return;
  for (const double count : sizes) rates.burst_share.push_back(count / bursts);
}

using Drops = std::map<std::string, std::uint64_t>;

/// The reasons that ever dropped a frame.
std::vector<DropRate> reasons_of(const Drops* before, const Drops& now, double seconds) {
  std::vector<DropRate> reasons;
  for (const auto& [reason, total] : now) {
    if (total == 0) continue;
    Figure changed;
    if (before != nullptr) {
      const auto past = before->find(reason);
      changed = change(past == before->end() ? 0 : past->second, total);
    }
    reasons.push_back({reason, scaled(changed, 1 / seconds), total});
  }
  return reasons;
}

void add_reasons(PortRates& rates, const PortSample* before, const PortSample& now, double seconds) {
  rates.reasons = reasons_of(before == nullptr ? nullptr : &before->drops, now.drops, seconds);
  rates.program_reasons = reasons_of(before == nullptr ? nullptr : &before->program_drops, now.program_drops, seconds);
  if (now.missed == 0) return;
  const Figure missed = before == nullptr ? Figure() : change(before->missed, now.missed);
  rates.reasons.push_back({"missed by the card", scaled(missed, 1 / seconds), now.missed});
}

Figure all_drops(const PortSample& before, const PortSample& now) {
  Figure all = change(before.missed, now.missed);
  for (const auto& [reason, total] : now.drops) {
    const auto past = before.drops.find(reason);
    all = sum(all, change(past == before.drops.end() ? 0 : past->second, total));
  }
  return all;
}

}  // namespace

PortRates rates_of(const PortSample* before, const PortSample& now) {
  PortRates rates{.now = now};
  if (!now.answers) return rates;
  if (before != nullptr && (!before->answers || now.seconds <= before->seconds)) before = nullptr;
  const double seconds = before == nullptr ? 1 : now.seconds - before->seconds;
  add_queues(rates, "rx", before == nullptr ? nullptr : &before->rx, now.rx, seconds);
  add_queues(rates, "tx", before == nullptr ? nullptr : &before->tx, now.tx, seconds);
  add_reasons(rates, before, now, seconds);
  if (before == nullptr) return rates;
  rates.rx_packets = scaled(change(before->rx_packets, now.rx_packets), 1 / seconds);
  rates.tx_packets = scaled(change(before->tx_packets, now.tx_packets), 1 / seconds);
  rates.rx_bits = scaled(change(before->rx_bytes, now.rx_bytes), 8 / seconds);
  rates.tx_bits = scaled(change(before->tx_bytes, now.tx_bytes), 8 / seconds);
  rates.drops = scaled(all_drops(*before, now), 1 / seconds);
  add_meters(rates, *before, now);
  return rates;
}

}  // namespace pollux::tool::top
