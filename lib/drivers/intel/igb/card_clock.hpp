// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "drivers/intel/igb/card.hpp"
#include "pollux/net/frame_stamps.hpp"
#include "pollux/net/port_clock.hpp"
#include "pollux/net/port_driver.hpp"
#include "pollux/net/stats.hpp"

namespace pollux::drivers::igb {

[[nodiscard]] PortClockLimits clock_limits(const hw::igb::ClockTraits& clock) noexcept;

/// The card's clock: SYSTIM counts (ClockTraits), and software adds the time at one of its values. SYSTIM itself is
/// never written. Thread rule: the port's control calls.
class CardClock final : public PortClock {
 public:
  /// `card` outlives this object.
  explicit CardClock(const IgbCard& card) noexcept : card_(card) {}

  [[nodiscard]] Result<Time> time() override;
  [[nodiscard]] Result<void> set_time(Time time) override;
  [[nodiscard]] Result<void> adjust_time(Duration offset) override;

  /// Lets the counter run, in ppb beyond the oscillator's frequency; also after the card was reset. Error
  /// device_removed.
  [[nodiscard]] Result<void> run_at(double frequency);
  /// The counter is about to be reset: from now on the Context's clock gives the time.
  void suspend();
  /// Call it at least every four hours, of an I350 every nine minutes, so that no wrap of the counter is missed.
  void follow();
  /// The time of a stamp that was taken within the last four hours.
  [[nodiscard]] Time time_of(std::uint64_t counter) const noexcept;
  /// The counter, in parts or in nanoseconds, of what the card's registers show, of the clock or of a stamp.
  [[nodiscard]] std::uint64_t unwrapped(std::uint64_t registers) const noexcept;

 private:
  enum class State : std::uint8_t { off, running, suspended };
  [[nodiscard]] Result<void> update();
  [[nodiscard]] std::uint64_t read_counter() const;
  void write_rate(double frequency);
  [[nodiscard]] unsigned shift() const noexcept { return card_.traits->clock.shift; }
  /// The parts of a nanosecond in the counter.
  [[nodiscard]] std::uint64_t parts() const noexcept { return (std::uint64_t{1} << shift()) - 1; }

  const IgbCard& card_;
  State state_ = State::off;
  std::uint64_t counter_ = 0;  // a value of SYSTIM, and the clock's time then
  Time time_{0};
  std::uint64_t fraction_ = 0;  // of time_, in the counter's unit
  Time suspended_at_{0};        // by the Context's clock
};

/// The card's two latches of time stamps, and the filters that select stamped frames. Thread rule: control calls.
class StampLatches final : public FrameStamps {
 public:
  /// All three outlive this object.
  StampLatches(const IgbCard& card, const CardClock& clock, const PortDriver& port)
      : card_(card), clock_(clock), port_(port) {}

  [[nodiscard]] Result<std::optional<RxFrameStamp>> take_rx_stamp() override;
  [[nodiscard]] Result<std::optional<Time>> take_tx_stamp() override;

  /// Enables the stamps of frames that filters select (write_filters), and forgets earlier ones.
  void write(const FrameStampsConfig& to);
  /// Releases stamps that have waited too long. Call it regularly while the port runs.
  void release_unread();
  void append_counters(std::vector<Counter>& counters) const;

 private:
  /// What is known about a latch.
  struct Latch {
    std::optional<Time> seen_at;  // by the Context's clock: when an unread stamp was first seen
    std::uint64_t taken = 0;
    std::uint64_t unread = 0;
  };
  [[nodiscard]] Result<void> expect_running() const;
  [[nodiscard]] bool rx_valid() const { return card_.regs.read<reg::TSYNCRXCTL>().has(reg::TSYNCRXCTL::VALID); }
  [[nodiscard]] bool tx_valid() const { return card_.regs.read<reg::TSYNCTXCTL>().has(reg::TSYNCTXCTL::VALID); }
  [[nodiscard]] std::uint64_t read_rx() const;
  [[nodiscard]] std::uint64_t read_tx() const;
  /// Of `latency`, that at the link's speed.
  [[nodiscard]] Duration at_speed(const std::array<std::uint16_t, 3>& latency) const;
  void release();
  [[nodiscard]] bool has_waited(Latch& latch, bool valid) const;

  const IgbCard& card_;
  const CardClock& clock_;
  const PortDriver& port_;
  Latch rx_, tx_;
};

}  // namespace pollux::drivers::igb
