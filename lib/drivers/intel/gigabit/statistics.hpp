// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hw/intel/gigabit/registers.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/net/stats.hpp"

namespace pollux::drivers::gigabit {

/// Counts frames that passed the card's filters and never reached a receive ring: good frames less delivered frames,
/// from each start of the port to its stop. A register (RQDPC) counts them too, but only in 12 bits.
///
/// `good` and `delivered` are totals since the port was opened. On a running card, the result may be too low. It is
/// never too high and never decreases: `good` is read before `delivered`, which includes frames that arrived meanwhile.
class MissedFrames {
 public:
  /// Called when the port starts. `may_wait`: there is a queue whose frames wait in the packet buffer if they find no
  /// descriptor. They are not lost before the stop. `no_descriptor`: a total of frames that the card dropped and
  /// counted for want of a descriptor.
  void begin(std::uint64_t good, std::uint64_t delivered, bool may_wait, std::uint64_t no_descriptor) noexcept {
    good_before_ = good;
    delivered_before_ = delivered;
    no_descriptor_before_ = no_descriptor;
    may_wait_ = may_wait;
    running_ = true;
  }
  /// Called when a queue starts whose frames may wait, while the port runs.
  void frames_may_wait() noexcept { may_wait_ = true; }
  /// Called while the port runs. At most `delivered` frames have reached its rings.
  void update(std::uint64_t good, std::uint64_t delivered) noexcept {
    if (running_ && !may_wait_) so_far_ = std::max(so_far_, excess(good, delivered));
  }
  /// Called when the port has stopped. Exactly `delivered` frames have reached its rings. If frames may have waited,
  /// those that the card did not count as dropped were waiting.
  void end(std::uint64_t good, std::uint64_t delivered, std::uint64_t no_descriptor) noexcept {
    if (!running_) return;
    const std::uint64_t missed = std::max(so_far_, excess(good, delivered));
    const std::uint64_t counted = std::max(so_far_, no_descriptor - no_descriptor_before_);
    const std::uint64_t dropped = may_wait_ ? std::min(missed, counted) : missed;
    no_descriptor_ += dropped;
    stopped_ += missed - dropped;
    so_far_ = 0;
    running_ = false;
  }

  /// For a successor after a crash, which counts on.
  ///@{
  using Saved = std::array<std::uint64_t, 6>;
  [[nodiscard]] Saved saved() const noexcept {
    return {good_before_, delivered_before_, no_descriptor_before_, no_descriptor_, stopped_, may_wait_ ? 1U : 0U};
  }
  void go_on(const Saved& from) noexcept {
    begin(from[0], from[1], from[5] != 0, from[2]);
    no_descriptor_ = from[3];
    stopped_ = from[4];
  }
  ///@}

  /// Whether `update` could change anything.
  [[nodiscard]] bool needs_update() const noexcept { return running_ && !may_wait_; }
  /// Frames dropped because there was no descriptor.
  [[nodiscard]] std::uint64_t no_descriptor() const noexcept { return no_descriptor_ + so_far_; }
  /// Frames in the packet buffer when the port stopped.
  [[nodiscard]] std::uint64_t stopped() const noexcept { return stopped_; }

 private:
  /// A card may deliver more frames than it counts: another driver may have reset it, or its counters may be wrong. The
  /// result is 0 then, not negative.
  [[nodiscard]] std::uint64_t excess(std::uint64_t good, std::uint64_t delivered) const noexcept {
    const std::uint64_t counted = good - good_before_;
    const std::uint64_t arrived = delivered - delivered_before_;
    return counted > arrived ? counted - arrived : 0;
  }

  std::uint64_t good_before_ = 0;
  std::uint64_t delivered_before_ = 0;
  std::uint64_t no_descriptor_before_ = 0;
  std::uint64_t so_far_ = 0;  // since the start
  std::uint64_t no_descriptor_ = 0;
  std::uint64_t stopped_ = 0;
  bool may_wait_ = false;
  bool running_ = false;
};

/// A counter of the card: one register, or two for octets.
struct CardCounter {
  std::string_view name;  ///< the datasheet's name, for a pair without the L
  std::uint32_t offset = 0;
  bool pair = false;  ///< the high half follows at offset + 4
};

namespace detail {

/// Whether two consecutive registers are the low and high half (XL and XH) of one counter.
[[nodiscard]] constexpr bool is_pair(const RegisterInfo& low, const RegisterInfo& high) noexcept {
  return low.name.ends_with('L') && high.name.ends_with('H') && high.offset == low.offset + 4 &&
         low.name.substr(0, low.name.size() - 1) == high.name.substr(0, high.name.size() - 1);
}

/// Calls `use` with each counter of `table`, in its order.
template <class Table, class Use>
constexpr void for_each_counter(const Table& table, Use use) noexcept {
  for (std::size_t i = 0; i < table.size(); ++i) {
    const RegisterInfo& info = table[i];
    const bool pair = i + 1 < table.size() && is_pair(info, table[i + 1]);
    use(CardCounter{pair ? info.name.substr(0, info.name.size() - 1) : info.name, info.offset, pair});
    if (pair) ++i;
  }
}

}  // namespace detail

/// Every counter of a card's table of registers.
template <const auto& kTable>
[[nodiscard]] constexpr auto list_counters() noexcept {
  constexpr std::size_t kCount = [] {
    std::size_t count = 0;
    detail::for_each_counter(kTable, [&count](const CardCounter&) { ++count; });
    return count;
  }();
  std::array<CardCounter, kCount> counters;
  std::size_t at = 0;
  detail::for_each_counter(kTable, [&](const CardCounter& counter) { counters[at++] = counter; });
  return counters;
}

/// Returns the number of frames that have reached a running port's receive rings since it was opened. May be too high,
/// never too low. nullopt: the number is not available now, or the card was removed.
using DeliveredFrames = std::function<std::optional<std::uint64_t>()>;

/// The card's counters in 64 bits since the port was opened. A read clears a counter, so only this class reads them. A
/// counter sticks at its highest value ([I-STICK] 82575 manual, p. 416). Thread rule: any thread, at any time.
class CardStatistics {
 public:
  /// A 32-bit counter of the shortest frames is full after 48 minutes at line rate. A shorter interval also detects a
  /// removed card soon.
  static constexpr Duration kUpdateInterval = std::chrono::seconds(10);

  /// Queues of the card with most of them.
  static constexpr std::uint32_t kMaxQueues = 16;

  /// `counters` outlives the object.
  explicit CardStatistics(std::span<const CardCounter> counters)
      : counters_(counters), unread_(counters.size(), false), own_(counters.size() + kMaxQueues), total_(own_) {}

  /// What the registers hold from before.
  enum class Before : std::uint8_t { discarded, counts };
  /// Starts to count. `unread`: names of counters that the card must not read. `drop_counters`: queues whose dropped
  /// frames the card counts (RQDPC).
  void attach(const hw::gigabit::Registers& regs, std::span<const std::string_view> unread, std::uint32_t drop_counters,
              Before before = Before::discarded);
  /// [E-RQDPC] Whether the drops of queues are cleared by a write. Call it before `attach`.
  void clear_drops_by_write(bool needed) noexcept { drops_need_write_ = needed; }
  /// Counts in that memory from now on, which has as many words as `words`. `adopt`: with what it has, a program's that
  /// has crashed; else with what was counted so far.
  void count_in(std::span<std::uint64_t> memory, bool adopt);
  [[nodiscard]] std::size_t words() const noexcept { return own_.size(); }

  /// Adds what the registers hold now. Adds nothing if the card was removed.
  void accumulate();
  /// Discards what the registers hold now, for example after a reset.
  void discard();
  /// Stops reading the registers. Call it before they become invalid.
  void detach();

  /// The port's receive queues are `count` of the card's, from `first` on. Others' drops are not the port's.
  void use_queues(std::uint32_t first, std::uint32_t count);

  /// Receiving starts. `delivered`: frames delivered before. `may_wait`: see MissedFrames. `so_far` is called at each
  /// read of the counters until `end_receive`.
  void begin_receive(std::uint64_t delivered, bool may_wait, DeliveredFrames so_far);
  /// For a successor after a crash, in place of begin_receive. `before`: frames that had reached the rings of the
  /// programs before.
  ///@{
  struct Receiving {
    MissedFrames::Saved missed;
    std::uint64_t before;
  };
  [[nodiscard]] Receiving receiving();
  void go_on(const Receiving& from, bool may_wait, DeliveredFrames so_far);
  ///@}
  /// A queue starts whose frames may wait for descriptors, while the port runs.
  void frames_may_wait();
  /// Receiving has ended. Call it after the last `accumulate`.
  void end_receive(std::uint64_t delivered);

  /// As of the last read of the registers: the frames that passed the filters or found the packet buffer full, and are
  /// not the firmware's; and those that were dropped for want of descriptors, by the port's queues.
  [[nodiscard]] std::pair<std::uint64_t, std::vector<std::uint64_t>> counted_frames();

  /// Accumulates first. Fills in the counters of the card.
  void fill(Stats& stats);
  /// Accumulates first. Appends every counter under its datasheet name, and the parts of rx_missed_errors.
  void append(std::vector<Counter>& counters);

 private:
  /// Reads the registers, and adds each to its total at once if `adds`: a program may end between any two.
  void read(bool adds);
  /// Returns false if the card was removed or detached.
  bool accumulate_locked();
  void update_locked();
  [[nodiscard]] std::uint64_t value(std::string_view name) const;
  [[nodiscard]] std::span<std::uint64_t> dropped() const noexcept { return total_.subspan(counters_.size()); }
  [[nodiscard]] std::uint64_t counted_no_descriptor() const;
  [[nodiscard]] std::uint64_t no_descriptor() const;

  std::mutex mutex_;
  hw::gigabit::Registers regs_;
  std::span<const CardCounter> counters_;
  std::vector<bool> unread_;
  std::uint32_t queues_ = 0;       // of the card
  std::uint32_t first_queue_ = 0;  // of the port
  std::uint32_t used_queues_ = kMaxQueues;
  bool attached_ = false;
  bool drops_need_write_ = false;
  std::vector<std::uint64_t> own_;
  std::span<std::uint64_t> total_;  // of each counter, then of each queue's RQDPC
  std::uint64_t before_ = 0;        // see Receiving
  MissedFrames missed_;
  DeliveredFrames delivered_;
  std::uint64_t rx_bytes_ = 0;  // as last returned
  std::uint64_t tx_bytes_ = 0;
};

}  // namespace pollux::drivers::gigabit
