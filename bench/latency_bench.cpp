// SPDX-License-Identifier: BSD-3-Clause
// Measures how long a frame waits in software, from its write-back to the return of the tx_burst that took it. 64
// frames arrive at once, and a forwarder handles them in bursts. With small bursts the first frames wait less; with
// large bursts the last frames wait less.
#include <fmt/format.h>

#include "port_fixture.hpp"
#include "report.hpp"
#include "swap_macs.hpp"

namespace pollux::bench {
namespace {

constexpr std::uint32_t kAtOnce = 64;
constexpr std::uint32_t kRounds = 5000;

double percentile(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

void latency(benchmark::State& state, const Setup& setup, std::uint32_t limit) {
  PortFixture fixture(setup);
  const double rate = cycles_per_second();
  std::vector<double> waits;
  Burst<Setup::kMaxBurst> burst;
  for ([[maybe_unused]] auto _ : state) {
    fixture.next_round();
    const std::uint64_t written_back = start_cycles();
    double wait = 0;
    for (std::uint32_t done = 0; done < kAtOnce;) {
      const std::uint32_t count = fixture.rx().rx_burst(burst, limit);
      for (Mbuf& mbuf : burst) swap_macs(mbuf.data());
      fixture.tx().tx_burst(burst);
      // No fence: it would take longer than a small burst, and delay the next burst.
      wait = static_cast<double>(__rdtsc() - written_back) / rate;
      waits.insert(waits.end(), count, wait);
      done += count;
    }
    state.SetIterationTime(wait);
  }
  std::sort(waits.begin(), waits.end());
  state.counters["p50_ns"] = percentile(waits, 0.5) * 1e9;
  state.counters["p99_ns"] = percentile(waits, 0.99) * 1e9;
  state.counters["p99.9_ns"] = percentile(waits, 0.999) * 1e9;
}

void add_all() {
  for (const BurstMode mode : kModes) {
    if (!processor_has(mode)) continue;
    for (const bool cold : {false, true}) {
      for (const std::uint32_t limit : {1U, 2U, 4U, 8U, 16U, 32U, 64U}) {
        const Setup setup{.mode = mode, .burst = kAtOnce, .cold = cold, .trickle = true};
        const std::string text =
            fmt::format("latency/pollux/{}/{}/burst:{}", pollux::name(mode), cold ? "cold" : "warm", limit);
        repeated(benchmark::RegisterBenchmark(text.c_str(), [setup, limit](benchmark::State& state) {
          latency(state, setup, limit);
        }))->Iterations(kRounds);
      }
    }
  }
}

}  // namespace
}  // namespace pollux::bench

int main(int argc, char** argv) {
  pollux::bench::add_all();
  return pollux::bench::run(argc, argv);
}
