// SPDX-License-Identifier: BSD-3-Clause
#include "common/ticks.hpp"

#include <chrono>
#include <thread>

#include "pollux/base/cycle_counter.hpp"

namespace pollux::tools {

double measure_ticks_per_second() {
  using std::chrono::steady_clock;
  const auto began = steady_clock::now();
  const std::uint64_t first = read_cycles();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::uint64_t last = read_cycles();
  const std::chrono::duration<double> span = steady_clock::now() - began;
  return static_cast<double>(last - first) / span.count();
}

}  // namespace pollux::tools
