// SPDX-License-Identifier: BSD-3-Clause
#include "report.hpp"

#include <fmt/format.h>

#include <string>

#include "machine.hpp"

namespace pollux::bench {
namespace {

double smallest(const std::vector<double>& values) { return *std::min_element(values.begin(), values.end()); }
double largest(const std::vector<double>& values) { return *std::max_element(values.begin(), values.end()); }

}  // namespace

int run(int argc, char** argv) {
  benchmark::AddCustomContext("processor", processor());
  benchmark::AddCustomContext("time stamp counter", fmt::format("{:.3f} GHz", cycles_per_second() / 1e9));
  benchmark::AddCustomContext("compiler", std::string(kCompiler));
#if defined(NDEBUG)
  benchmark::AddCustomContext("build", "release");
#else
  benchmark::AddCustomContext("build", "debug: figures mean nothing");
#endif
  benchmark::AddCustomContext("free huge pages", free_huge_pages());
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const std::size_t ran = benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return ran == 0 ? 1 : 0;
}

benchmark::internal::Benchmark* repeated(benchmark::internal::Benchmark* benchmark) {
  return benchmark->UseManualTime()
      ->Unit(benchmark::kNanosecond)
      ->Repetitions(7)
      ->ReportAggregatesOnly()
      ->ComputeStatistics("min", smallest)
      ->ComputeStatistics("max", largest);
}

void repeated_for_a_while(benchmark::internal::Benchmark* benchmark) { repeated(benchmark)->MinTime(0.05); }

void measure(benchmark::State& state, Workload& workload) {
  const double overhead = overhead_cycles();
  const double rate = cycles_per_second();
  std::vector<double> rounds;
  for ([[maybe_unused]] auto _ : state) {
    rounds.push_back(cycles_of_round(workload, overhead));
    state.SetIterationTime(rounds.back() / rate);
  }
  if (rounds.empty()) return;
  state.counters["cycles"] = median(rounds) / workload.operations();
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * workload.operations());
}

}  // namespace pollux::bench
