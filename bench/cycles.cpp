// SPDX-License-Identifier: BSD-3-Clause
#include "cycles.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <thread>

namespace pollux::bench {
namespace {

volatile std::sig_atomic_t g_steps = 0;
struct sigaction g_earlier;

// Steps that belong to the counter itself: the trap after popfq in start(), and stop()'s instructions up to clearing
// the flag.
constexpr std::uint64_t kOwnSteps = 3;

void on_trap(int) { g_steps = g_steps + 1; }

}  // namespace

double overhead_cycles() {
  std::array<std::uint64_t, 2001> samples{};
  for (std::uint64_t& sample : samples) {
    const std::uint64_t start = start_cycles();
    sample = stop_cycles() - start;
  }
  std::nth_element(samples.begin(), samples.begin() + samples.size() / 2, samples.end());
  return static_cast<double>(samples[samples.size() / 2]);
}

double cycles_per_second() {
  static const double rate = [] {
    const auto began = std::chrono::steady_clock::now();
    const std::uint64_t start = start_cycles();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const std::uint64_t cycles = stop_cycles() - start;
    const std::chrono::duration<double> span = std::chrono::steady_clock::now() - began;
    return static_cast<double>(cycles) / span.count();
  }();
  return rate;
}

InstructionCounter::InstructionCounter() {
  struct sigaction action = {};
  action.sa_handler = on_trap;
  sigaction(SIGTRAP, &action, &g_earlier);
}

InstructionCounter::~InstructionCounter() { sigaction(SIGTRAP, &g_earlier, nullptr); }

void InstructionCounter::reset() noexcept { g_steps = 0; }

std::uint64_t InstructionCounter::count() noexcept {
  const auto steps = static_cast<std::uint64_t>(g_steps);
  return steps > kOwnSteps ? steps - kOwnSteps : 0;
}

}  // namespace pollux::bench
