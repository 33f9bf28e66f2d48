// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <vector>

#include "drivers/intel/igbvf/card.hpp"
#include "pollux/net/stats.hpp"

namespace pollux::drivers::igbvf {

/// A virtual function's counters in 64 bits since the port was opened. The card's go round at 32 bits and nothing but a
/// reset of the card clears them. Thread rule: any thread, at any time.
class Statistics {
 public:
  /// Octets at line rate go round in 34 s; functions of one card exchange frames faster than that.
  static constexpr Duration kFoldInterval = std::chrono::seconds(5);
  static constexpr std::size_t kCounters = 9;

  /// Begins to count from what the registers hold now.
  void attach(const reg::Registers& regs);
  /// Adds what came since. Nothing is added if the card is gone.
  void fold();
  /// The registers are not read any more; call before they go away, or mean something else.
  void detach();

  /// Folds first. Fills in what the card counts for the function.
  void fill(Stats& stats);
  /// Folds first. Appends every counter under its name.
  void append(std::vector<Counter>& counters);

 private:
  using Values = std::array<std::uint32_t, kCounters>;

  [[nodiscard]] Values read() const;
  void fold_locked();

  std::mutex mutex_;
  reg::Registers regs_;
  bool attached_ = false;
  Values last_{};
  std::array<std::uint64_t, kCounters> total_{};
  std::uint64_t no_descriptor_ = 0;  // RQDPC
  std::uint64_t rx_bytes_ = 0;       // as last told
  std::uint64_t tx_bytes_ = 0;
};

}  // namespace pollux::drivers::igbvf
