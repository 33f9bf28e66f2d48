// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/igb/statistics.hpp"

namespace pollux::igb {

namespace reg = hw::igb;

namespace {

/// A read that got no answer is all ones. A counter sticks there ([I-STICK]), but not one that is read as often as
/// kFoldInterval says; an octet counter's low half passes it once in 2^32.
std::uint64_t count_of(std::uint32_t read) noexcept { return read == ~std::uint32_t{0} ? 0 : read; }

}  // namespace

// [I-OCTETS] Of a pair the low half is read first; reading the high half clears both (DPDK, igb_ethdev.c,
// igb_read_stats_registers).
Statistics::Values Statistics::read() const {
  Values values;
  for (std::size_t i = 0; i < kCardCounters.size(); ++i) {
    const CardCounter& counter = kCardCounters[i];
    const std::uint64_t low = count_of(regs_.bar().read32(counter.offset));
    const std::uint64_t high = counter.pair ? count_of(regs_.bar().read32(counter.offset + 4)) : 0;
    values.card[i] = high << 32 | low;
  }
  for (std::uint32_t queue = 0; queue < reg::kRxQueues; ++queue) {
    // [I-RQDPC] Twelve bits: a lower bound when more were dropped since the last look.
    const auto dropped = regs_.read_and_clear<reg::RQDPC>(queue);
    if (!dropped.all_ones()) values.no_descriptor += dropped.get(reg::RQDPC::COUNT);
  }
  return values;
}

void Statistics::fold_locked() {
  if (!attached_) return;
  const Values seen = read();
  // All ones from a card that is gone are no counts.
  if (regs_.removed()) return;
  for (std::size_t i = 0; i < seen.card.size(); ++i) total_.card[i] += seen.card[i];
  total_.no_descriptor += seen.no_descriptor;
}

// Not initialised by hardware: 82575 manual, p. 416; Linux, e1000_82575.c, igb_clear_hw_cntrs_82575, reads them all
// first, too.
void Statistics::attach(const hw::igb::Registers& regs) {
  const std::lock_guard lock(mutex_);
  regs_ = regs;
  attached_ = true;
  static_cast<void>(read());
}

void Statistics::fold() {
  const std::lock_guard lock(mutex_);
  fold_locked();
}

void Statistics::discard() {
  const std::lock_guard lock(mutex_);
  if (attached_) static_cast<void>(read());
}

void Statistics::detach() {
  const std::lock_guard lock(mutex_);
  attached_ = false;
}

std::uint64_t Statistics::value(std::string_view name) const {
  for (std::size_t i = 0; i < kCardCounters.size(); ++i) {
    if (kCardCounters[i].name == name) return total_.card[i];
  }
  return 0;
}

// Which register is which follows Linux, igb_main.c, igb_update_stats. Undersized and oversized frames are in RLEC;
// SYMERRS counts symbols and not frames (RXERRC counts the frames they spoil).
void Statistics::fill(Stats& stats) {
  const std::lock_guard lock(mutex_);
  fold_locked();
  stats.rx_packets = value("GPRC");
  stats.tx_packets = value("GPTC");
  stats.rx_bytes = value("GORC");
  stats.tx_bytes = value("GOTC");
  stats.rx_errors = value("CRCERRS") + value("ALGNERRC") + value("RXERRC") + value("RLEC");
  stats.tx_errors = value("ECOL") + value("LATECOL");
  stats.multicast = value("MPRC");
  stats.collisions = value("COLC");
  stats.rx_missed_errors = value("MPC") + total_.no_descriptor;
}

void Statistics::append(std::vector<Counter>& counters) {
  const std::lock_guard lock(mutex_);
  fold_locked();
  for (std::size_t i = 0; i < kCardCounters.size(); ++i) {
    counters.push_back({std::string(kCardCounters[i].name), total_.card[i]});
  }
  counters.push_back({"RQDPC", total_.no_descriptor});
}

}  // namespace pollux::igb
