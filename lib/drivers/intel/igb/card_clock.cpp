// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/card_clock.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "net/config_check.hpp"

namespace pollux::drivers::igb {
namespace {

/// [I-SYSTIM] More than can pass while TIMINCA is written: then the counter itself has jumped. In ns.
constexpr std::uint64_t kJump = 1'000'000'000;
using Format = hw::igb::ClockFormat;

constexpr unsigned kNanosecondBits = 40;
constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint32_t kSlower = std::uint32_t{1} << 31;

/// Leaves room for 146 years of running.
constexpr Time kMaxTime = Time::max() / 2;

}  // namespace

// Linux, igb_ptp.c, igb_ptp_init: max_adj.
PortClockLimits clock_limits(const hw::igb::ClockTraits& clock) noexcept {
  if (clock.format != Format::parts) {  // igb_ptp_adjfine_82580
    const double step = 1e9 / 4294967296.0 / static_cast<double>(clock.tick.count());
    return {.max_frequency = clock.max_increment * step, .frequency_step = step, .tick = clock.tick};
  }
  const double step = 1e9 / clock.increment;
  return {.max_frequency = (clock.max_increment - clock.increment) * step, .frequency_step = step, .tick = clock.tick};
}

// [I-SYSTIM] On cards whose low half latches the high half, one pair would do (Linux, igb_ptp.c, igb_ptp_read_82576).
// Without a latch a pair is wrong if the low half wraps between its two reads. If the two pairs have the same high half
// and are in order, neither did. Otherwise it has just wrapped, and does so again only after 8 ms, so a third is right.
//
// The others latch both halves when SYSTIMR is read (igb_ptp_read_82580 and igb_ptp_read_i210).
std::uint64_t CardClock::read_counter() const {
  if (card_.traits->clock.format != Format::parts) {
    static_cast<void>(card_.regs.read<reg::SYSTIMR>());
    const std::uint64_t low = card_.regs.read<reg::SYSTIML>().raw();
    return unwrapped(std::uint64_t{card_.regs.read<reg::SYSTIMH>().raw()} << 32 | low);
  }
  const auto pair = [this] {
    const std::uint64_t low = card_.regs.read<reg::SYSTIML>().raw();
    return std::uint64_t{card_.regs.read<reg::SYSTIMH>().raw()} << 32 | low;
  };
  const std::uint64_t first = pair();
  const std::uint64_t second = pair();
  return first >> 32 == second >> 32 && first <= second ? first : pair();
}

// 40 bits wrap after 18 minutes. Each value is taken as the one that is next to the last one known.
std::uint64_t CardClock::unwrapped(std::uint64_t registers) const noexcept {
  if (card_.traits->clock.format == Format::parts) return registers;
  if (card_.traits->clock.format == Format::seconds) return (registers >> 32) * kSecond + (registers & 0xFFFFFFFF);
  constexpr std::uint64_t kMask = (std::uint64_t{1} << kNanosecondBits) - 1;
  const std::uint64_t since = (registers - counter_) & kMask;
  const bool is_before = since >> (kNanosecondBits - 1) != 0;
  return counter_ + since - (is_before ? kMask + 1 : 0);
}

// TSAUXC lets the clock run (igb_ptp_reset).
void CardClock::write_rate(double frequency) {
  const hw::igb::ClockTraits& clock = card_.traits->clock;
  const auto steps = std::llround(frequency / clock_limits(clock).frequency_step);
  if (clock.format == Format::parts) {
    const auto increment = static_cast<std::uint32_t>(clock.increment + steps);
    card_.regs.write<reg::TIMINCA>(reg::TIMINCA::PERIOD(1) | reg::TIMINCA::VALUE(increment));
  } else {
    const auto amount = static_cast<std::uint32_t>(std::llabs(steps));
    card_.regs.write<reg::TSAUXC>({});
    card_.regs.write<reg::TIMINCA>(reg::TIMINCA::Value(steps < 0 ? amount | kSlower : amount));
  }
  card_.regs.flush();
}

// Linux, igb_ptp.c, igb_ptp_init. With another increment the counter goes on, so that no time is lost
// (igb_ptp_adjfreq_82576).
Result<void> CardClock::run_at(double frequency) {
  if (state_ != State::off) {
    if (auto updated = update(); !updated) return updated;
  }
  write_rate(frequency);
  const std::uint64_t counter = read_counter();
  if (card_.regs.removed()) return fail_removed(card_.name);
  if (state_ != State::running || (counter - counter_) >> shift() > kJump) counter_ = counter;
  state_ = State::running;
  return {};
}

// Moves the pair of counter and time to now. The difference is right across a wrap.
Result<void> CardClock::update() {
  if (auto is_open = expect_open(card_, "the clock cannot be used"); !is_open) return is_open;
  if (state_ == State::off) {
    return fail(ErrorCode::bad_state, fmt::format("{}: the clock does not run", card_.name),
                "set Settings::clock_frequency, such as to 0, which lets it run");
  }
  if (state_ == State::suspended) {
    const Time now = card_.clock().now();
    time_ += now - suspended_at_;
    suspended_at_ = now;
    return {};
  }
  const std::uint64_t counter = read_counter();
  if (card_.regs.removed()) return fail_removed(card_.name);
  const std::uint64_t passed = counter - counter_;
  const std::uint64_t fraction = fraction_ + (passed & parts());
  // The card may claim anything, so the time is kept in its range.
  time_ = std::min(time_ + Duration(static_cast<Duration::rep>((passed >> shift()) + (fraction >> shift()))), kMaxTime);
  fraction_ = fraction & parts();
  counter_ = counter;
  return {};
}

Result<Time> CardClock::time() {
  if (auto updated = update(); !updated) return pass_on(std::move(updated));
  return time_;
}

Result<void> CardClock::set_time(Time time) {
  if (time < Time(0) || time > kMaxTime) {
    return refuse(card_.name, fmt::format("clock: {} ns is not between 0 and {}", time.count(), kMaxTime.count()),
                  "count from a later origin");
  }
  if (auto updated = update(); !updated) return updated;
  time_ = time;
  fraction_ = 0;
  return {};
}

Result<void> CardClock::adjust_time(Duration offset) {
  if (auto updated = update(); !updated) return updated;
  if (offset < -time_ || offset > kMaxTime - time_) {
    return refuse(card_.name, fmt::format("clock: an offset of {} ns leaves the range of the clock", offset.count()),
                  fmt::format("it is at {} ns", time_.count()));
  }
  time_ += offset;
  return {};
}

void CardClock::suspend() {
  if (state_ != State::running) return;
  static_cast<void>(update());
  suspended_at_ = card_.clock().now();
  state_ = State::suspended;
}

void CardClock::follow() {
  if (state_ == State::running) static_cast<void>(update());
}

Time CardClock::time_of(std::uint64_t counter) const noexcept {
  const std::uint64_t since = counter - counter_;
  const std::uint64_t fraction = (since & parts()) + fraction_;
  return time_ +
         Duration((static_cast<std::int64_t>(since) >> shift()) + static_cast<std::int64_t>(fraction >> shift()));
}

namespace {

/// Linux, igb_ptp.c, igb_ptp_rx_hang: five seconds; the sender waits for fifteen (IGB_PTP_TX_TIMEOUT).
constexpr Duration kUnreadLimit = std::chrono::seconds(5);

// Linux, e1000_defines.h, E1000_TSYNCRXCFG_PTP_V1_*.
constexpr std::uint32_t kSyncOf1 = 0;
constexpr std::uint32_t kDelayRequestOf1 = 1;

reg::TSYNCRXCTL::Value receive_control(StampedMessages messages) noexcept {
  switch (messages) {
    case StampedMessages::none: break;
    case StampedMessages::ptp1_sync:
    case StampedMessages::ptp1_delay_request: return reg::TSYNCRXCTL::ENABLED | reg::TSYNCRXCTL::L4_V1;
    case StampedMessages::ptp2_ethernet:
    case StampedMessages::ptp2_udp:
    case StampedMessages::ptp2: return reg::TSYNCRXCTL::ENABLED | reg::TSYNCRXCTL::EVENT_V2;
  }
  return {};
}

}  // namespace

// Linux, igb_ptp.c, igb_ptp_set_timestamp_mode.
void StampLatches::write(const FrameStampsConfig& to) {
  const StampedMessages messages = to.receive;
  card_.regs.write<reg::TSYNCRXCFG>(
      reg::TSYNCRXCFG::CTRLT(messages == StampedMessages::ptp1_delay_request ? kDelayRequestOf1 : kSyncOf1));
  card_.regs.write<reg::TSYNCTXCTL>(to.transmit ? reg::TSYNCTXCTL::Value(reg::TSYNCTXCTL::ENABLED)
                                                : reg::TSYNCTXCTL::Value());
  card_.regs.write<reg::TSYNCRXCTL>(receive_control(messages));
  release();
}

Result<void> StampLatches::expect_running() const {
  if (port_.running()) return {};
  return fail(ErrorCode::bad_state, fmt::format("{}: there are no time stamps: the port is not started", card_.name),
              "start the port");
}

// [I-M-SYSTIM] QEMU releases the stamp when RXSATRH is read; silicon and the in-process card when RXSTMPH is. Reading
// both releases it everywhere.
std::uint64_t StampLatches::read_rx() const {
  const std::uint64_t low = card_.regs.read<reg::RXSTMPL>().raw();
  return clock_.unwrapped(std::uint64_t{card_.regs.read<reg::RXSTMPH>().raw()} << 32 | low);
}
std::uint64_t StampLatches::read_tx() const {
  const std::uint64_t low = card_.regs.read<reg::TXSTMPL>().raw();
  return clock_.unwrapped(std::uint64_t{card_.regs.read<reg::TXSTMPH>().raw()} << 32 | low);
}

// [I-LATENCY] Linux, igb_ptp.c, igb_ptp_tx_hwtstamp and igb_ptp_rx_rgtstamp.
Duration StampLatches::at_speed(const std::array<std::uint16_t, 3>& latency) const {
  const std::uint32_t speed = card_.regs.read<reg::STATUS>().get(reg::STATUS::SPEED);
  return Duration(latency[std::min<std::size_t>(speed, latency.size() - 1)]);
}

Result<std::optional<RxFrameStamp>> StampLatches::take_rx_stamp() {
  if (auto runs = expect_running(); !runs) return pass_on(std::move(runs));
  if (!rx_valid()) return std::nullopt;
  // [I-RXSATR] The identity is read before the stamp is released, since the next frame replaces it.
  const std::uint32_t low = card_.regs.read<reg::RXSATRL>().raw();
  const std::uint32_t high = card_.regs.read<reg::RXSATRH>().raw();
  const std::uint64_t counter = read_rx();
  if (card_.regs.removed()) return fail_removed(card_.name);
  rx_.seen_at = std::nullopt;
  ++rx_.taken;
  RxFrameStamp stamp{.time = clock_.time_of(counter) - at_speed(card_.traits->clock.latency.received),
                     .sequence = static_cast<std::uint16_t>((high >> 24 & 0xFF) | (high >> 8 & 0xFF00))};
  const std::uint64_t source = std::uint64_t{high & 0xFFFF} << 32 | low;
  for (unsigned i = 0; i < stamp.source.size(); ++i) stamp.source[i] = static_cast<std::uint8_t>(source >> 8 * i);
  return stamp;
}

Result<std::optional<Time>> StampLatches::take_tx_stamp() {
  if (auto runs = expect_running(); !runs) return pass_on(std::move(runs));
  if (!tx_valid()) return std::nullopt;
  const std::uint64_t counter = read_tx();
  if (card_.regs.removed()) return fail_removed(card_.name);
  tx_.seen_at = std::nullopt;
  ++tx_.taken;
  return clock_.time_of(counter) + at_speed(card_.traits->clock.latency.sent);
}

void StampLatches::release() {
  static_cast<void>(card_.regs.read<reg::RXSATRH>());
  static_cast<void>(read_rx());
  static_cast<void>(read_tx());
  rx_.seen_at = tx_.seen_at = std::nullopt;
}

bool StampLatches::has_waited(Latch& latch, bool valid) const {
  if (!valid) {
    latch.seen_at = std::nullopt;
    return false;
  }
  const Time now = card_.clock().now();
  if (!latch.seen_at) latch.seen_at = now;
  return now - *latch.seen_at >= kUnreadLimit;
}

// A stamp of a frame that the program has dropped would prevent all others. Linux, igb_ptp.c, igb_ptp_rx_hang.
void StampLatches::release_unread() {
  if (!port_.running() || port_.settings().stamps == FrameStampsConfig{}) return;
  if (has_waited(rx_, rx_valid())) {
    static_cast<void>(card_.regs.read<reg::RXSATRH>());
    static_cast<void>(read_rx());
    rx_.seen_at = std::nullopt;
    ++rx_.unread;
  }
  if (has_waited(tx_, tx_valid())) {
    static_cast<void>(read_tx());
    tx_.seen_at = std::nullopt;
    ++tx_.unread;
  }
}

void StampLatches::append_counters(std::vector<Counter>& counters) const {
  counters.push_back({"rx_stamps_taken", rx_.taken});
  counters.push_back({"rx_stamps_unread", rx_.unread});
  counters.push_back({"tx_stamps_taken", tx_.taken});
  counters.push_back({"tx_stamps_unread", tx_.unread});
}

}  // namespace pollux::drivers::igb
