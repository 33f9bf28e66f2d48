// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/igb/card.hpp"
#include "pollux/net/port_clock.hpp"

namespace pollux::drivers::igb {

/// The card's clock: SYSTIM counts 2^-19 ns, and software adds the time at one of its values. SYSTIM itself is never
/// written. Thread rule: the port's control calls.
class CardClock final : public ClockTime {
 public:
  /// SYSTIM's unit is 2^-kShift ns. TIMINCA adds kNominal, which is 16 ns, every 16 ns (Linux, igb_ptp.c,
  /// INCVALUE_82576 and INCPERIOD_82576).
  static constexpr unsigned kShift = 19;
  static constexpr std::uint32_t kNominal = 16U << kShift;
  /// TIMINCA.VALUE has 24 bits, so the rate can nearly double (Linux, igb_ptp.c, igb_ptp_init: max_adj).
  static constexpr PortClockLimits kLimits{.max_frequency = ((1U << 24) - 1 - kNominal) * (1e9 / kNominal),
                                           .frequency_step = 1e9 / kNominal,
                                           .tick = Duration(16)};

  /// `card` outlives this object.
  explicit CardClock(const igb::Card& card) noexcept : card_(card) {}

  [[nodiscard]] Result<Time> time() override;
  [[nodiscard]] Result<void> set_time(Time time) override;
  [[nodiscard]] Result<void> adjust_time(Duration offset) override;

  /// Lets the counter run, in ppb beyond the oscillator's frequency; also after the card was reset. Error
  /// device_removed.
  [[nodiscard]] Result<void> run_at(double frequency);
  /// The counter is about to be reset: from now on the Context's clock gives the time.
  void suspend();
  /// Call it at least every four hours, so that no wrap of the counter is missed.
  void follow();
  /// The time of a stamp that was taken within the last four hours.
  [[nodiscard]] Time time_of(std::uint64_t counter) const noexcept;

 private:
  enum class State : std::uint8_t { off, running, suspended };
  [[nodiscard]] Result<void> update();
  [[nodiscard]] std::uint64_t read_counter() const;

  const igb::Card& card_;
  State state_ = State::off;
  std::uint64_t counter_ = 0;  // a value of SYSTIM, and the clock's time then
  Time time_{0};
  std::uint64_t fraction_ = 0;  // of time_, in 2^-19 ns
  Time suspended_at_{0};        // by the Context's clock
};

}  // namespace pollux::drivers::igb
