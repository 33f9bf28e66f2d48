// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "models/intel/igb/frame.hpp"
#include "models/intel/igb/interrupts.hpp"
#include "models/intel/igb/register_file.hpp"

namespace pollux::models::igb {

/// The IEEE 1588 clock, and one latched time stamp in each direction. Linux igb, igb_ptp.c; I210 datasheet, 7.9 and
/// 8.15.
class TimeSync {
 public:
  TimeSync(RegisterFile& registers, const Timers& timers, Interrupts& interrupts);

  void reset();
  /// A frame whose descriptor requests a time stamp is being sent.
  void sent();
  /// Whether received frames like this one are stamped.
  [[nodiscard]] bool selects(std::span<const std::byte> frame, const Headers& headers) const;
  /// The clock, as its registers show it.
  [[nodiscard]] std::uint64_t now() const { return shown(clock()); }
  /// A stamp of a frame that is received now. [I-LATENCY]
  [[nodiscard]] std::uint64_t received_now() const;
  /// True if the received frame was stamped.
  [[nodiscard]] bool received(std::span<const std::byte> frame, const Headers& headers);

 private:
  void install_hooks();
  void install_later_hooks();
  [[nodiscard]] bool counts_parts() const noexcept { return traits_.format == hw::ClockFormat::parts; }
  [[nodiscard]] std::uint64_t clock() const;
  [[nodiscard]] std::uint64_t shown(std::uint64_t value) const;
  [[nodiscard]] std::uint64_t at_speed(const std::array<std::uint16_t, 3>& latency) const;
  [[nodiscard]] std::uint64_t later_clock() const;
  void set_clock(std::uint64_t value);
  void set_registers(std::uint64_t value);
  void rebase();
  void adjust(std::uint32_t high);
  [[nodiscard]] bool is_event(std::span<const std::byte> frame, const Headers& headers) const;
  [[nodiscard]] bool ether_type_selected(std::uint16_t ether_type) const;
  [[nodiscard]] bool ports_selected(std::span<const std::byte> frame, const Headers& headers) const;

  RegisterFile& registers_;
  const Timers& timers_;
  Interrupts& interrupts_;
  const hw::ClockTraits& traits_;
  std::uint64_t base_ = 0;  // the clock at `base_time_`, in its own parts or in nanoseconds
  Duration base_time_{0};
  std::uint32_t low_written_ = 0;  // to SYSTIML
};

/// FRTIMER, which counts all the time, and TCPTIMER, which raises an interrupt.
class GeneralTimers {
 public:
  GeneralTimers(RegisterFile& registers, Timers& timers, Interrupts& interrupts);
  void reset();

 private:
  void write_tcp_timer(hw::TCPTIMER::Value value);
  void start();
  void expire();

  RegisterFile& registers_;
  Timers& timers_;
  Interrupts& interrupts_;
  Timers::Id expired_;
  Duration started_{0};  // when FRTIMER was 0
};

}  // namespace pollux::models::igb
