// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/statistics.hpp"

#include <algorithm>
#include <utility>

#include "net/frame_size.hpp"

namespace pollux::drivers::igb {

namespace reg = hw::igb;

namespace {

/// A read that got no answer is all ones. A counter sticks there ([I-STICK]), but not one that is read as often as
/// kFoldInterval says; an octet counter's low half passes it once in 2^32.
std::uint64_t count_of(std::uint32_t read) noexcept { return read == ~std::uint32_t{0} ? 0 : read; }

}  // namespace

// [I-OCTETS] Of a pair the low half is read first; reading the high half clears both (DPDK, igb_ethdev.c,
// igb_read_stats_registers). Octets are read before frames: so the FCS of all that is in them can be subtracted, and a
// frame that comes in between makes them too few for a moment and never too many.
Statistics::Values Statistics::read() const {
  Values values;
  for (const bool pairs : {true, false}) {
    for (std::size_t i = 0; i < kCardCounters.size(); ++i) {
      const CardCounter& counter = kCardCounters[i];
      if (counter.pair != pairs) continue;
      const std::uint64_t low = count_of(regs_.bar().read32(counter.offset));
      const std::uint64_t high = counter.pair ? count_of(regs_.bar().read32(counter.offset + 4)) : 0;
      values.card[i] = high << 32 | low;
    }
  }
  for (std::uint32_t queue = 0; queue < reg::kRxQueues; ++queue) {
    // [I-RQDPC] Twelve bits: a lower bound when more were dropped since the last look.
    const auto dropped = regs_.read_and_clear<reg::RQDPC>(queue);
    if (!dropped.all_ones()) values.no_descriptor[queue] = dropped.get(reg::RQDPC::COUNT);
  }
  return values;
}

bool Statistics::fold_locked() {
  if (!attached_) return false;
  const Values seen = read();
  // All ones from a card that is gone are no counts.
  if (regs_.removed()) return false;
  for (std::size_t i = 0; i < seen.card.size(); ++i) total_.card[i] += seen.card[i];
  for (std::size_t i = 0; i < seen.no_descriptor.size(); ++i) total_.no_descriptor[i] += seen.no_descriptor[i];
  return true;
}

// Folds, and finds out what was missed. The counters come first: a frame that they count is in a ring, if it comes
// there at all, by the time that all of them have been read.
void Statistics::look_locked() {
  if (!fold_locked() || !missed_.wants_look() || !delivered_) return;
  if (const auto delivered = delivered_()) missed_.look(value("GPRC"), *delivered);
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

void Statistics::begin_receive(std::uint64_t delivered, bool waits, DeliveredFrames so_far) {
  const std::lock_guard lock(mutex_);
  missed_.begin(value("GPRC"), delivered, waits);
  delivered_ = std::move(so_far);
}

void Statistics::end_receive(std::uint64_t delivered) {
  const std::lock_guard lock(mutex_);
  missed_.end(value("GPRC"), delivered);
  delivered_ = nullptr;
}

std::uint64_t Statistics::value(std::string_view name) const {
  for (std::size_t i = 0; i < kCardCounters.size(); ++i) {
    if (kCardCounters[i].name == name) return total_.card[i];
  }
  return 0;
}

/// What RQDPC told is the least that it can be.
std::uint64_t Statistics::no_descriptor() const {
  std::uint64_t told = 0;
  for (const std::uint64_t queue : total_.no_descriptor) told += queue;
  return std::max(missed_.no_descriptor(), told);
}

// Which register is which follows Linux, igb_main.c, igb_update_stats, but that the sums are of all their parts, as
// if_link.h has it. Undersized and oversized frames are in RLEC; SYMERRS counts symbols and not frames (RXERRC counts
// the frames they spoil).
void Statistics::fill(Stats& stats) {
  const std::lock_guard lock(mutex_);
  look_locked();
  stats.rx_packets = value("GPRC");
  stats.tx_packets = value("GPTC");
  stats.rx_bytes = rx_bytes_ = std::max(rx_bytes_, without_fcs(value("GORC"), stats.rx_packets));
  stats.tx_bytes = tx_bytes_ = std::max(tx_bytes_, without_fcs(value("GOTC"), stats.tx_packets));
  stats.rx_length_errors = value("RLEC");
  stats.rx_crc_errors = value("CRCERRS");
  stats.rx_frame_errors = value("ALGNERRC");
  stats.rx_errors = stats.rx_length_errors + stats.rx_crc_errors + stats.rx_frame_errors + value("RXERRC");
  stats.tx_aborted_errors = value("ECOL");
  stats.tx_carrier_errors = value("TNCRS");
  stats.tx_window_errors = value("LATECOL");
  stats.tx_errors = stats.tx_aborted_errors + stats.tx_carrier_errors + stats.tx_window_errors;
  stats.multicast = value("MPRC");
  stats.collisions = value("COLC");
  stats.rx_missed_errors = value("MPC") + no_descriptor() + missed_.stopped();
  for (std::size_t i = 0; i < stats.rx_queues.size(); ++i) {
    stats.rx_queues[i].missed_at_least = total_.no_descriptor[i];
  }
}

void Statistics::append(std::vector<Counter>& counters) {
  const std::lock_guard lock(mutex_);
  look_locked();
  counters.push_back({"rx_missed_packet_buffer", value("MPC")});
  counters.push_back({"rx_missed_no_descriptor", no_descriptor()});
  counters.push_back({"rx_missed_stopped", missed_.stopped()});
  for (std::size_t i = 0; i < kCardCounters.size(); ++i) {
    counters.push_back({std::string(kCardCounters[i].name), total_.card[i]});
  }
}

}  // namespace pollux::drivers::igb
