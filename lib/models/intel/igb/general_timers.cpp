// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/general_timers.hpp"

namespace pollux::models::igb {

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
