// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/clocks.hpp"

#include <algorithm>

#include "models/intel/igb/filter.hpp"

namespace pollux::models::igb {
namespace {

/// The unit of TIMINCA.PERIOD. Linux igb, igb_ptp.c, INCPERIOD_82576.
constexpr std::uint64_t kPeriodUnit = 16;  // nanoseconds
constexpr std::uint32_t kAdjustSign = std::uint32_t{1} << 31;

// A PTP message. I210 datasheet, tables 7-66 and 7-69.
constexpr std::size_t kVersionAt = 1;
constexpr std::size_t kSourceAt = 22;
constexpr std::size_t kSequenceAt = 30;
constexpr std::size_t kControlAt = 32;
constexpr std::size_t kMessageBytes = 34;
constexpr unsigned kFirstGeneralMessage = 8;

unsigned value_at(std::span<const std::byte> bytes, std::size_t at) { return std::to_integer<unsigned>(bytes[at]); }

}  // namespace

TimeSync::TimeSync(RegisterFile& registers, const Timers& timers, Interrupts& interrupts)
    : registers_(registers), timers_(timers), interrupts_(interrupts), traits_(registers.traits().clock) {
  install_hooks();
  if (registers.traits().later_registers) install_later_hooks();
}

// [I-M-SYSTIM] Reading the clock's low half latches its high half. Reading a stamp's high half releases the stamp.
void TimeSync::install_hooks() {
  registers_.on_read<hw::SYSTIML>([this](std::uint32_t) {
    const std::uint64_t value = now();
    registers_.set<hw::SYSTIMH>(hw::SYSTIMH::Value(static_cast<std::uint32_t>(value >> 32)));
    return static_cast<std::uint32_t>(value);
  });
  registers_.on_write<hw::SYSTIML>([this](std::uint32_t, std::uint32_t value) {
    low_written_ = value;
    set_registers(now() >> 32 << 32 | value);
  });
  registers_.on_write<hw::SYSTIMH>([this](std::uint32_t, std::uint32_t value) {
    registers_.set<hw::SYSTIMH>(hw::SYSTIMH::Value(value));
    set_registers(std::uint64_t{value} << 32 | low_written_);
  });
  registers_.on_write<hw::TIMINCA>([this](std::uint32_t, std::uint32_t value) {
    rebase();
    registers_.set<hw::TIMINCA>(hw::TIMINCA::Value(value));
  });
  registers_.on_write<hw::TIMADJH>([this](std::uint32_t, std::uint32_t value) { adjust(value); });
  registers_.on_write<hw::TSYNCRXCTL>([this](std::uint32_t, std::uint32_t value) {
    const bool valid = registers_.get<hw::TSYNCRXCTL>().has(hw::TSYNCRXCTL::VALID);
    const hw::TSYNCRXCTL::Value written(value);
    registers_.set<hw::TSYNCRXCTL>(valid ? written.with(hw::TSYNCRXCTL::VALID)
                                         : written.without(hw::TSYNCRXCTL::VALID));
  });
  registers_.on_write<hw::TSYNCTXCTL>([this](std::uint32_t, std::uint32_t value) {
    const bool valid = registers_.get<hw::TSYNCTXCTL>().has(hw::TSYNCTXCTL::VALID);
    const hw::TSYNCTXCTL::Value written(value);
    registers_.set<hw::TSYNCTXCTL>(valid ? written.with(hw::TSYNCTXCTL::VALID)
                                         : written.without(hw::TSYNCTXCTL::VALID));
  });
  registers_.on_read<hw::RXSTMPH>([this](std::uint32_t) {
    const hw::TSYNCRXCTL::Value control = registers_.get<hw::TSYNCRXCTL>();
    registers_.set<hw::TSYNCRXCTL>(control.without(hw::TSYNCRXCTL::VALID));
    return registers_.get<hw::RXSTMPH>().raw();
  });
  registers_.on_read<hw::TXSTMPH>([this](std::uint32_t) {
    const hw::TSYNCTXCTL::Value control = registers_.get<hw::TSYNCTXCTL>();
    registers_.set<hw::TSYNCTXCTL>(control.without(hw::TSYNCTXCTL::VALID));
    return registers_.get<hw::TXSTMPH>().raw();
  });
}

// TSAUXC stops the clock, and TSICR has what TSIM lets interrupt. Linux igb, igb_ptp.c, igb_ptp_reset, and igb_main.c,
// igb_tsync_interrupt.
void TimeSync::install_later_hooks() {
  registers_.on_write<hw::TSAUXC>([this](std::uint32_t, std::uint32_t value) {
    rebase();
    registers_.set<hw::TSAUXC>(hw::TSAUXC::Value(value));
  });
  registers_.on_read<hw::TSICR>([this](std::uint32_t) {
    const std::uint32_t causes = registers_.get<hw::TSICR>().raw();
    registers_.set<hw::TSICR>({});
    return causes;
  });
}

void TimeSync::reset() {
  low_written_ = 0;
  if (!counts_parts()) registers_.set<hw::TSAUXC>(hw::TSAUXC::DISABLE);
  set_clock(0);
}

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kLowHalf = 0xFFFFFFFF;
constexpr unsigned kNanosecondBits = 40;

}  // namespace

std::uint64_t TimeSync::at_speed(const std::array<std::uint16_t, 3>& latency) const {
  const std::uint32_t speed = hw::STATUS::Value(registers_.read(hw::STATUS::offset(0))).get(hw::STATUS::SPEED);
  return latency[std::min<std::size_t>(speed, latency.size() - 1)];
}

std::uint64_t TimeSync::received_now() const { return shown(clock() + at_speed(traits_.latency.received)); }

std::uint64_t TimeSync::shown(std::uint64_t value) const {
  if (traits_.format == hw::ClockFormat::seconds) return value / kSecond << 32 | value % kSecond;
  return counts_parts() ? value : value & ((std::uint64_t{1} << kNanosecondBits) - 1);
}

void TimeSync::set_registers(std::uint64_t value) {
  set_clock(traits_.format == hw::ClockFormat::seconds ? (value >> 32) * kSecond + (value & kLowHalf) : value);
}

std::uint64_t TimeSync::later_clock() const {
  if (registers_.get<hw::TSAUXC>().has(hw::TSAUXC::DISABLE)) return base_;
  const auto tick = static_cast<std::uint64_t>(traits_.tick.count());
  const std::uint64_t ticks = static_cast<std::uint64_t>((timers_.now() - base_time_).count()) / tick;
  const std::uint32_t increment = registers_.get<hw::TIMINCA>().raw();
  const std::uint64_t more =
      (ticks >> 32) * (increment & ~kAdjustSign) + ((ticks & kLowHalf) * (increment & ~kAdjustSign) >> 32);
  const std::uint64_t passed = base_ + ticks * tick;
  return (increment & kAdjustSign) != 0 ? passed - more : passed + more;
}

std::uint64_t TimeSync::clock() const {
  if (!counts_parts()) return later_clock();
  const hw::TIMINCA::Value increment = registers_.get<hw::TIMINCA>();
  const std::uint64_t period = increment.get(hw::TIMINCA::PERIOD) * kPeriodUnit;
  if (period == 0) return base_;
  const auto passed = static_cast<std::uint64_t>((timers_.now() - base_time_).count());
  return base_ + passed / period * increment.get(hw::TIMINCA::VALUE);
}

void TimeSync::set_clock(std::uint64_t value) {
  base_ = value;
  base_time_ = timers_.now();
}

// The new increment is added from the next tick on, so what has passed of a tick is not lost.
void TimeSync::rebase() {
  if (!counts_parts()) return set_clock(clock());
  const auto period =
      Duration(static_cast<Duration::rep>(registers_.get<hw::TIMINCA>().get(hw::TIMINCA::PERIOD) * kPeriodUnit));
  if (period == Duration(0)) return set_clock(base_);
  base_ = clock();
  base_time_ = timers_.now() - (timers_.now() - base_time_) % period;
}

/// TIMADJH's highest bit is the sign of the adjustment.
void TimeSync::adjust(std::uint32_t high) {
  registers_.set<hw::TIMADJH>(hw::TIMADJH::Value(high));
  const std::uint64_t amount = std::uint64_t{high & ~kAdjustSign} << 32 | registers_.get<hw::TIMADJL>().raw();
  base_ = (high & kAdjustSign) != 0 ? base_ - amount : base_ + amount;
}

void TimeSync::sent() {
  const hw::TSYNCTXCTL::Value control = registers_.get<hw::TSYNCTXCTL>();
  if (!control.has(hw::TSYNCTXCTL::ENABLED) || control.has(hw::TSYNCTXCTL::VALID)) return;
  const std::uint64_t time = clock();
  const std::uint64_t stamp = shown(time - std::min(time, at_speed(traits_.latency.sent)));
  registers_.set<hw::TXSTMPL>(hw::TXSTMPL::Value(static_cast<std::uint32_t>(stamp)));
  registers_.set<hw::TXSTMPH>(hw::TXSTMPH::Value(static_cast<std::uint32_t>(stamp >> 32)));
  registers_.set<hw::TSYNCTXCTL>(control.with(hw::TSYNCTXCTL::VALID));
  if (!registers_.traits().later_registers) return;
  registers_.set<hw::TSICR>(hw::TSICR::Value(registers_.get<hw::TSICR>().raw() | hw::TSIM::TXTS.bits()));
  if (registers_.get<hw::TSIM>().has(hw::TSIM::TXTS)) interrupts_.raise(hw::ICR::TIME_SYNC);
}

bool TimeSync::selects(std::span<const std::byte> frame, const Headers& headers) const {
  const hw::TSYNCRXCTL::Value control = registers_.get<hw::TSYNCRXCTL>();
  return control.has(hw::TSYNCRXCTL::ENABLED) && (control.has(hw::TSYNCRXCTL::ALL) || is_event(frame, headers));
}

bool TimeSync::received(std::span<const std::byte> frame, const Headers& headers) {
  const hw::TSYNCRXCTL::Value control = registers_.get<hw::TSYNCRXCTL>();
  if (control.has(hw::TSYNCRXCTL::VALID) || !selects(frame, headers)) return false;
  const std::uint64_t stamp = received_now();
  registers_.set<hw::RXSTMPL>(hw::RXSTMPL::Value(static_cast<std::uint32_t>(stamp)));
  registers_.set<hw::RXSTMPH>(hw::RXSTMPH::Value(static_cast<std::uint32_t>(stamp >> 32)));
  registers_.set<hw::TSYNCRXCTL>(control.with(hw::TSYNCRXCTL::VALID));
  return true;
}

/// Whether TSYNCRXCTL.TYPE selects the frame. RXSATRL and RXSATRH then identify its sender and message.
bool TimeSync::is_event(std::span<const std::byte> frame, const Headers& headers) const {
  const bool udp = headers.udp != 0;
  const std::size_t at = udp ? headers.udp + 8 : kMacHeaderBytes + headers.tag_bytes;
  if (frame.size() < at + kMessageBytes) return false;
  if (udp ? !ports_selected(frame, headers) : !ether_type_selected(headers.ether_type)) return false;
  const std::span<const std::byte> message = frame.subspan(at);
  const hw::TSYNCRXCTL::Value control = registers_.get<hw::TSYNCRXCTL>();
  const hw::TSYNCRXCFG::Value wanted = registers_.get<hw::TSYNCRXCFG>();
  const unsigned version = value_at(message, kVersionAt) & 0xF;
  const unsigned type = value_at(message, 0) & 0xF;
  bool selected = false;
  if (control.has(hw::TSYNCRXCTL::L4_V1)) {
    selected = udp && version == 1 && value_at(message, kControlAt) == wanted.get(hw::TSYNCRXCFG::CTRLT);
  } else if (control.has(hw::TSYNCRXCTL::EVENT_V2)) {
    selected = version == 2 && type < kFirstGeneralMessage;
  } else if (control.has(hw::TSYNCRXCTL::L2_V2) || control.has(hw::TSYNCRXCTL::L2_L4_V2)) {
    const bool layer = !udp || control.has(hw::TSYNCRXCTL::L2_L4_V2);
    selected = layer && version == 2 && type == wanted.get(hw::TSYNCRXCFG::MSGID);
  }
  if (!selected) return false;
  registers_.set<hw::RXSATRL>(hw::RXSATRL::Value(read_little(message, kSourceAt, 4)));
  registers_.set<hw::RXSATRH>(
      hw::RXSATRH::Value(read_little(message, kSourceAt + 4, 2) | read_little(message, kSequenceAt, 2) << 16));
  return true;
}

bool TimeSync::ether_type_selected(std::uint16_t ether_type) const {
  for (std::uint32_t i = 0; i < hw::ETQF::kCount; ++i) {
    const hw::ETQF::Value filter = registers_.get<hw::ETQF>(i);
    if (filter.has(hw::ETQF::FILTER_ENABLE | hw::ETQF::TIME_STAMP) && filter.get(hw::ETQF::ETYPE) == ether_type) {
      return true;
    }
  }
  return false;
}

/// The destination port of a filter is that of IMIR (Linux igb, igb_ptp.c, igb_ptp_set_timestamp_mode).
bool TimeSync::ports_selected(std::span<const std::byte> frame, const Headers& headers) const {
  for (std::uint32_t i = 0; i < hw::FTQF::kCount; ++i) {
    if (registers_.get<hw::FTQF>(i).has(hw::FTQF::TIME_STAMP) && tuple_matches(registers_, i, frame, headers)) {
      return true;
    }
  }
  return false;
}

// [I-M-FRTIMER] Microseconds in bits 9:0, milliseconds in bits 19:10 and seconds in bits 31:20.
GeneralTimers::GeneralTimers(RegisterFile& registers, Timers& timers, Interrupts& interrupts)
    : registers_(registers), timers_(timers), interrupts_(interrupts), expired_(timers.add([this] { expire(); })) {
  registers_.on_read<hw::FRTIMER>([this](std::uint32_t) {
    const auto microseconds = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(timers_.now() - started_).count());
    return static_cast<std::uint32_t>(microseconds % 1000 | microseconds / 1000 % 1000 << 10 |
                                      (microseconds / 1'000'000 & 0xFFF) << 20);
  });
  registers_.on_write<hw::FRTIMER>([](std::uint32_t, std::uint32_t) {});
  registers_.on_write<hw::TCPTIMER>(
      [this](std::uint32_t, std::uint32_t value) { write_tcp_timer(hw::TCPTIMER::Value(value)); });
}

void GeneralTimers::reset() {
  timers_.cancel(expired_);
  started_ = timers_.now();
}

// 82575 manual, 5.16.1: KICKSTART starts a count of DURATION milliseconds, LOOP repeats it.
void GeneralTimers::write_tcp_timer(hw::TCPTIMER::Value value) {
  registers_.set<hw::TCPTIMER>(value.without(hw::TCPTIMER::KICKSTART | hw::TCPTIMER::COUNT_FINISH));
  if (!value.has(hw::TCPTIMER::COUNT_ENABLE)) return timers_.cancel(expired_);
  if (value.has(hw::TCPTIMER::COUNT_FINISH)) interrupts_.raise_tcp_timer();
  if (value.has_any(hw::TCPTIMER::KICKSTART | hw::TCPTIMER::COUNT_FINISH)) start();
}

void GeneralTimers::start() {
  const std::uint32_t duration = registers_.get<hw::TCPTIMER>().get(hw::TCPTIMER::DURATION);
  if (duration != 0) timers_.start(expired_, std::chrono::milliseconds(duration));
}

void GeneralTimers::expire() {
  interrupts_.raise_tcp_timer();
  if (registers_.get<hw::TCPTIMER>().has(hw::TCPTIMER::LOOP)) start();
}

}  // namespace pollux::models::igb
