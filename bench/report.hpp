// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cycles.hpp"
#include "measure.hpp"

namespace pollux::bench {

/// Parses Google Benchmark's arguments, adds machine, compiler and build to the output, and runs all benchmarks.
/// Returns the exit code for main.
int run(int argc, char** argv);

/// Sets seven repetitions, timed by the time stamp counter. Median, minimum, maximum and deviation are reported.
benchmark::internal::Benchmark* repeated(benchmark::internal::Benchmark* benchmark);
/// The same for BENCHMARK(...)->Apply, with rounds for a twentieth of a second.
void repeated_for_a_while(benchmark::internal::Benchmark* benchmark);

/// Reports `cycles` per operation, the median over all rounds.
void measure(benchmark::State& state, Workload& workload);

/// The same without a Workload. Times `body`, which does `operations` operations, after an untimed `prepare`, as often
/// as Google Benchmark asks. Reports `cycles` (time stamp counter, the median over all rounds) and `instructions`
/// (single-stepped, one round), both per operation.
template <class Prepare, class Body>
void measure(benchmark::State& state, std::uint32_t operations, Prepare prepare, Body body) {
  const double overhead = overhead_cycles();
  const double rate = cycles_per_second();
  std::vector<double> rounds;
  for ([[maybe_unused]] auto _ : state) {
    prepare();
    const std::uint64_t start = start_cycles();
    body();
    const double cycles = std::max(0.0, static_cast<double>(stop_cycles() - start) - overhead);
    rounds.push_back(cycles);
    state.SetIterationTime(cycles / rate);
  }
  if (rounds.empty()) return;
  prepare();
  InstructionCounter counter;
  counter.start();
  body();
  const std::uint64_t instructions = counter.stop();
  state.counters["cycles"] = median(rounds) / operations;
  state.counters["instructions"] = static_cast<double>(instructions) / operations;
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * operations);
}

}  // namespace pollux::bench
