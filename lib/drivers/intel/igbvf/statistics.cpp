// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igbvf/statistics.hpp"

#include <algorithm>
#include <string>
#include <string_view>

#include "net/frame_size.hpp"

namespace pollux::drivers::igbvf {
namespace {

struct CardCounter {
  std::string_view name;
  std::uint32_t offset;
};

/// In the order of reading. Octets are read before frames, so that the FCS of every counted frame can be subtracted. A
/// frame that arrives in between makes the bytes too few until the next read, never too many.
enum Index : std::size_t { kRxOctets, kTxOctets, kRxLoopOctets, kTxLoopOctets, kRx, kTx, kMulticast, kRxLoop, kTxLoop };
constexpr std::array<CardCounter, IgbvfStatistics::kCounters> kCounterTable{{
    {"VFGORC", reg::VFGORC::offset()},
    {"VFGOTC", reg::VFGOTC::offset()},
    {"VFGORLBC", reg::VFGORLBC::offset()},
    {"VFGOTLBC", reg::VFGOTLBC::offset()},
    {"VFGPRC", reg::VFGPRC::offset()},
    {"VFGPTC", reg::VFGPTC::offset()},
    {"VFMPRC", reg::VFMPRC::offset()},
    {"VFGPRLBC", reg::VFGPRLBC::offset()},
    {"VFGPTLBC", reg::VFGPTLBC::offset()},
}};

}  // namespace

IgbvfStatistics::Values IgbvfStatistics::read() const {
  Values values{};
  for (std::size_t i = 0; i < kCounters; ++i) values[i] = regs_.bar().read32(kCounterTable[i].offset);
  return values;
}

// A counter that seems to have advanced by 2^31 or more within an interval has been cleared by a reset of the card. Its
// value is then the count since that reset.
void IgbvfStatistics::accumulate_locked() {
  if (!attached_) return;
  const Values now = read();
  const auto dropped = regs_.read_and_clear<hw::intel::RQDPC>(0);
  if (regs_.removed()) return;
  for (std::size_t i = 0; i < kCounters; ++i) {
    const std::uint32_t step = now[i] - last_[i];
    total_[i] += step < 0x8000'0000 ? step : now[i];
  }
  last_ = now;
  no_descriptor_ += dropped.get(hw::intel::RQDPC::COUNT);
}

void IgbvfStatistics::attach(const reg::Registers& regs) {
  const std::lock_guard lock(mutex_);
  regs_ = regs;
  last_ = read();
  attached_ = true;
}

void IgbvfStatistics::accumulate() {
  const std::lock_guard lock(mutex_);
  accumulate_locked();
}

void IgbvfStatistics::detach() {
  const std::lock_guard lock(mutex_);
  attached_ = false;
}

void IgbvfStatistics::fill(Stats& stats) {
  const std::lock_guard lock(mutex_);
  accumulate_locked();
  stats.rx_packets = total_[kRx];
  stats.tx_packets = total_[kTx];
  stats.rx_bytes = rx_bytes_ = std::max(rx_bytes_, octets_without_fcs(total_[kRxOctets], total_[kRx]));
  stats.tx_bytes = tx_bytes_ = std::max(tx_bytes_, octets_without_fcs(total_[kTxOctets], total_[kTx]));
  stats.multicast = total_[kMulticast];
  stats.rx_missed_errors = no_descriptor_;
  if (!stats.rx_queues.empty()) stats.rx_queues[0].missed_at_least = no_descriptor_;
}

void IgbvfStatistics::append(std::vector<Counter>& counters) {
  const std::lock_guard lock(mutex_);
  accumulate_locked();
  for (std::size_t i = 0; i < kCounters; ++i) counters.push_back({std::string(kCounterTable[i].name), total_[i]});
}

}  // namespace pollux::drivers::igbvf
