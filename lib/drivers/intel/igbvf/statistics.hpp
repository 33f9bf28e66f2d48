// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "drivers/intel/igbvf/card.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/net/stats.hpp"

namespace pollux::drivers::igbvf {

/// A virtual function's counters in 64 bits since the port was opened. The card's counters wrap at 32 bits, and only a
/// reset of the card clears them. Thread rule: any thread, at any time.
class IgbvfStatistics {
 public:
  /// Octet counters wrap after 34 s at line rate, and sooner when functions of one card exchange frames.
  static constexpr Duration kUpdateInterval = std::chrono::seconds(5);
  static constexpr std::size_t kCounters = 9;

  /// Starts to count from what the registers hold now.
  void attach(const reg::Registers& regs);
  /// Adds the counts since the last call. Adds nothing if the card was removed.
  void accumulate();
  /// Stops reading the registers. Call it before they become invalid or are reused.
  void detach();

  /// Accumulates first. Fills in the card's counters of the function.
  void fill(Stats& stats);
  /// Accumulates first. Appends every counter under its name.
  void append(std::vector<Counter>& counters);

 private:
  using Values = std::array<std::uint32_t, kCounters>;

  [[nodiscard]] Values read() const;
  void accumulate_locked();

  std::mutex mutex_;
  reg::Registers regs_;
  bool attached_ = false;
  Values last_{};
  std::array<std::uint64_t, kCounters> total_{};
  std::uint64_t no_descriptor_ = 0;  // RQDPC
  std::uint64_t rx_bytes_ = 0;       // as last returned
  std::uint64_t tx_bytes_ = 0;
};

}  // namespace pollux::drivers::igbvf
