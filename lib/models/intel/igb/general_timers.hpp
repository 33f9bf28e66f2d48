// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "models/intel/igb/interrupts.hpp"
#include "models/intel/igb/register_file.hpp"
#include "models/intel/igb/timers.hpp"

namespace pollux::models::igb {

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
