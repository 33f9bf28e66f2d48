// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sched.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string_view>
#include <vector>

#include "../cycles.hpp"

/// Shared code of the two native programs. Both time the same number of objects in the same way, and print a line of
/// JSON per case. `run` starts them alternately.
namespace baselines {

constexpr unsigned kObjects = 512;
// Fewer objects for counting instructions: the trap for each instruction takes microseconds.
constexpr unsigned kCountedObjects = 128;
constexpr unsigned kPool = 8191;
constexpr unsigned kRing = 1024;

[[noreturn]] inline void give_up(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::exit(1);
}

/// Reads the processor's number from the command line, and pins the program to it.
inline unsigned processor_from(int argc, char** argv) {
  unsigned processor = 0;
  const std::string_view text = argc == 2 ? argv[1] : "";
  if (const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), processor);
      error != std::errc() || end != text.data() + text.size()) {
    give_up("name one processor");
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) give_up("no such processor");
  return processor;
}

/// Shuffles objects: in address order the hardware prefetcher would speed up the accesses.
template <class Object>
void shuffle(std::vector<Object>& objects) {
  std::shuffle(objects.begin(), objects.end(), std::mt19937(1));
}

/// Measures `body(count)`, which processes `count` objects. The cycles are the median of all rounds; the instructions
/// are counted in one additional round.
template <class Body>
void measure(const char* name, const char* path, unsigned burst, Body body) {
  constexpr int kRounds = 2001;
  static const double overhead = pollux::bench::overhead_cycles();
  std::vector<double> rounds(kRounds);
  for (int i = 0; i < kRounds / 4; ++i) body(kObjects);
  for (double& round : rounds) {
    const std::uint64_t start = pollux::bench::start_cycles();
    body(kObjects);
    round = static_cast<double>(pollux::bench::stop_cycles() - start) - overhead;
  }
  std::nth_element(rounds.begin(), rounds.begin() + kRounds / 2, rounds.end());
  pollux::bench::InstructionCounter counter;
  counter.start();
  body(kCountedObjects);
  const std::uint64_t instructions = counter.stop();
  std::printf("{\"case\":\"%s\",\"path\":\"%s\",\"burst\":%u,\"cycles\":%.3f,\"instructions\":%.3f}\n", name, path,
              burst, rounds[kRounds / 2] / kObjects, static_cast<double>(instructions) / kCountedObjects);
  std::fflush(stdout);
}

/// Calls `measure_burst` with each burst size as a compile-time constant.
template <class MeasureBurst>
void for_each_burst(MeasureBurst measure_burst) {
  measure_burst(std::integral_constant<unsigned, 32>());
  measure_burst(std::integral_constant<unsigned, 1>());
}

}  // namespace baselines
