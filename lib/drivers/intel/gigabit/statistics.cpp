// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/gigabit/statistics.hpp"

#include <algorithm>
#include <utility>

#include "hw/intel/registers_queue.hpp"
#include "net/frame_size.hpp"

namespace pollux::drivers::gigabit {

namespace {

/// A failed read returns all ones and counts as 0. A counter that sticks at all ones ([I-STICK]) is not expected, since
/// each is read every kUpdateInterval. The low half of an octet counter has that value once in 2^32.
std::uint64_t count_of(std::uint32_t read) noexcept { return read == ~std::uint32_t{0} ? 0 : read; }

}  // namespace

// [I-OCTETS] Reads the low half of a pair first; a read of the high half clears both (DPDK, igb_ethdev.c,
// igb_read_stats_registers). Octets are read before frames, so that the FCS of every counted frame can be subtracted. A
// frame that arrives in between makes the bytes too few until the next read, never too many.
void CardStatistics::read(bool adds) {
  const auto add = [&](std::uint64_t& total, std::uint64_t count) { total += adds ? count : 0; };
  for (const bool pairs : {true, false}) {
    for (std::size_t i = 0; i < counters_.size(); ++i) {
      const CardCounter& counter = counters_[i];
      if (counter.pair != pairs || unread_[i]) continue;
      const std::uint64_t low = count_of(regs_.bar().read32(counter.offset));
      const std::uint64_t high = counter.pair ? count_of(regs_.bar().read32(counter.offset + 4)) : 0;
      add(total_[i], high << 32 | low);
    }
  }
  for (std::uint32_t queue = 0; queue < std::min(used_queues_, queues_); ++queue) {
    // [I-RQDPC] 12 bits, so only a lower bound if more frames were dropped since the last read.
    const auto dropped = regs_.read_and_clear<hw::intel::RQDPC>(first_queue_ + queue);
    if (!dropped.all_ones()) add(this->dropped()[queue], dropped.get(hw::intel::RQDPC::COUNT));
    if (drops_need_write_) regs_.bar().write32(hw::intel::RQDPC::offset(first_queue_ + queue), 0);
  }
}

// All ones from a removed card count as nothing.
bool CardStatistics::accumulate_locked() {
  if (!attached_) return false;
  read(true);
  return !regs_.removed();
}

void CardStatistics::count_in(std::span<std::uint64_t> memory, bool adopt) {
  const std::lock_guard lock(mutex_);
  if (!adopt) std::ranges::copy(total_, memory.begin());
  total_ = memory;
}

CardStatistics::Receiving CardStatistics::receiving() {
  const std::lock_guard lock(mutex_);
  return {missed_.saved(), before_};
}

void CardStatistics::go_on(const Receiving& from, bool may_wait, DeliveredFrames so_far) {
  const std::lock_guard lock(mutex_);
  before_ = from.before;
  missed_.go_on(from.missed);
  if (may_wait) missed_.frames_may_wait();
  delivered_ = std::move(so_far);
}

// Accumulates the counters and updates the missed frames. The counters are read first: a delivered frame that they
// count is in a ring by the time all of them have been read.
void CardStatistics::update_locked() {
  if (!accumulate_locked() || !missed_.needs_update() || !delivered_) return;
  if (const auto delivered = delivered_()) missed_.update(value("GPRC"), before_ + *delivered);
}

// Reads all counters once to clear them, since hardware does not initialise them: 82575 manual, p. 416; Linux,
// e1000_82575.c, igb_clear_hw_cntrs_82575.
void CardStatistics::attach(const hw::gigabit::Registers& regs, std::span<const std::string_view> unread,
                            std::uint32_t drop_counters, Before before) {
  const std::lock_guard lock(mutex_);
  regs_ = regs;
  queues_ = std::min(drop_counters, kMaxQueues);
  for (std::size_t i = 0; i < counters_.size(); ++i) {
    unread_[i] = std::find(unread.begin(), unread.end(), counters_[i].name) != unread.end();
  }
  attached_ = true;
  if (before == Before::discarded) read(false);
}

void CardStatistics::accumulate() {
  const std::lock_guard lock(mutex_);
  accumulate_locked();
}

void CardStatistics::discard() {
  const std::lock_guard lock(mutex_);
  if (attached_) read(false);
}

void CardStatistics::detach() {
  const std::lock_guard lock(mutex_);
  attached_ = false;
}

void CardStatistics::use_queues(std::uint32_t first, std::uint32_t count) {
  const std::lock_guard lock(mutex_);
  first_queue_ = first;
  used_queues_ = count;
}

void CardStatistics::begin_receive(std::uint64_t delivered, bool may_wait, DeliveredFrames so_far) {
  const std::lock_guard lock(mutex_);
  missed_.begin(value("GPRC"), before_ + delivered, may_wait, counted_no_descriptor());
  delivered_ = std::move(so_far);
}

void CardStatistics::end_receive(std::uint64_t delivered) {
  const std::lock_guard lock(mutex_);
  missed_.end(value("GPRC"), before_ + delivered, counted_no_descriptor());
  delivered_ = nullptr;
}

void CardStatistics::frames_may_wait() {
  const std::lock_guard lock(mutex_);
  missed_.frames_may_wait();
}

std::uint64_t CardStatistics::value(std::string_view name) const {
  for (std::size_t i = 0; i < counters_.size(); ++i) {
    if (counters_[i].name == name) return total_[i];
  }
  return 0;
}

/// The sum of RQDPC, a lower bound.
std::uint64_t CardStatistics::counted_no_descriptor() const {
  std::uint64_t counted = 0;
  for (const std::uint64_t queue : dropped()) counted += queue;
  return counted;
}

std::uint64_t CardStatistics::no_descriptor() const {
  return std::max(missed_.no_descriptor(), counted_no_descriptor());
}

// Without the frames that firmware takes, which may be among the good ones and reach no queue.
std::pair<std::uint64_t, std::vector<std::uint64_t>> CardStatistics::counted_frames() {
  const std::lock_guard lock(mutex_);
  return {value("GPRC") + value("MPC") - value("MGTPRC"), {dropped().begin(), dropped().end()}};
}

// The mapping follows Linux, igb_main.c, igb_update_stats, except that each sum includes all its parts, as if_link.h
// defines it. RLEC includes undersized and oversized frames. SYMERRS counts symbols, not frames; RXERRC counts the
// frames with such symbols.
void CardStatistics::fill(Stats& stats) {
  const std::lock_guard lock(mutex_);
  update_locked();
  stats.rx_packets = value("GPRC");
  stats.tx_packets = value("GPTC");
  stats.rx_bytes = rx_bytes_ = std::max(rx_bytes_, octets_without_fcs(value("GORC"), stats.rx_packets));
  stats.tx_bytes = tx_bytes_ = std::max(tx_bytes_, octets_without_fcs(value("GOTC"), stats.tx_packets));
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
    stats.rx_queues[i].missed_at_least = dropped()[i];
  }
}

void CardStatistics::append(std::vector<Counter>& counters) {
  const std::lock_guard lock(mutex_);
  update_locked();
  counters.push_back({"rx_missed_packet_buffer", value("MPC")});
  counters.push_back({"rx_missed_no_descriptor", no_descriptor()});
  counters.push_back({"rx_missed_stopped", missed_.stopped()});
  for (std::size_t i = 0; i < counters_.size(); ++i) {
    if (!unread_[i]) counters.push_back({std::string(counters_[i].name), total_[i]});
  }
}

}  // namespace pollux::drivers::gigabit
