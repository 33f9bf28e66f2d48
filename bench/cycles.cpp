// SPDX-License-Identifier: BSD-3-Clause
#include "cycles.hpp"

#include <ucontext.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <thread>

namespace pollux::bench {
namespace {

volatile std::sig_atomic_t g_steps = 0;
volatile greg_t g_last = 0;  // the address of the next instruction at the last trap
struct sigaction g_earlier;

struct Watched {
  const volatile std::uint32_t* word;
  std::uint32_t last;
};
constexpr std::uint32_t kNothing = 0;
std::array<Watched, 2> g_watched;
volatile std::sig_atomic_t g_changes = 0;

void watch(Watched& watched, const volatile std::uint32_t* word) {
  watched.word = word == nullptr ? &kNothing : word;
  watched.last = *watched.word;
}

// Steps that belong to the counter itself: the trap after popfq in start(), and stop()'s instructions up to clearing
// the flag.
constexpr std::uint64_t kOwnSteps = 3;

// A string instruction (rep movs) traps after each element and counts once. Whether memmove uses one, and from which
// length on, depends on the processor.
void on_trap(int /*signal*/, siginfo_t* /*info*/, void* context) {
  const greg_t next = static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP];
  if (next != g_last) g_steps = g_steps + 1;
  g_last = next;
  for (Watched& watched : g_watched) {
    const std::uint32_t now = *watched.word;
    if (now != watched.last) g_changes = g_changes + 1;
    watched.last = now;
  }
}

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

InstructionCounter::InstructionCounter(const volatile std::uint32_t* first, const volatile std::uint32_t* second) {
  watch(g_watched[0], first);
  watch(g_watched[1], second);
  g_changes = 0;
  struct sigaction action = {};
  action.sa_sigaction = on_trap;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGTRAP, &action, &g_earlier);
}

InstructionCounter::~InstructionCounter() { sigaction(SIGTRAP, &g_earlier, nullptr); }

std::uint64_t InstructionCounter::changes() noexcept { return static_cast<std::uint64_t>(g_changes); }

void InstructionCounter::reset() noexcept { g_steps = 0; }

std::uint64_t InstructionCounter::count() noexcept {
  const auto steps = static_cast<std::uint64_t>(g_steps);
  return steps > kOwnSteps ? steps - kOwnSteps : 0;
}

}  // namespace pollux::bench
