// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/gigabit/statistics.hpp"
#include "hw/intel/igb/ids.hpp"
#include "hw/intel/igb/registers.hpp"

namespace pollux::drivers::igb {

using gigabit::CardCounter;
using gigabit::MissedFrames;

/// Every counter of the register table. CardTraits::unread_counters names those that a card must not read.
inline constexpr auto kCardCounters = gigabit::list_counters<hw::igb::kStatisticsRegisters>();

/// The card's counters, with those of its queues.
class IgbStatistics : public gigabit::CardStatistics {
 public:
  IgbStatistics() : CardStatistics(kCardCounters) {}

  /// Starts to count and discards what the registers hold from before.
  void attach(const hw::igb::Registers& regs, const hw::igb::CardTraits& traits) {
    CardStatistics::attach(regs, traits.unread_counters, traits.queues);
  }
};

}  // namespace pollux::drivers::igb
