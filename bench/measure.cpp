// SPDX-License-Identifier: BSD-3-Clause
#include "measure.hpp"

#include <algorithm>

#include "cycles.hpp"

namespace pollux::bench {

double cycles_of_round(Workload& workload, double overhead) {
  workload.prepare();
  const std::uint64_t start = start_cycles();
  workload.run();
  return std::max(0.0, static_cast<double>(stop_cycles() - start) - overhead);
}

double instructions_of(const Case& one, Setup setup) {
  setup.eighths = 4;
  setup.cold = false;
  const std::unique_ptr<Workload> made = one.make(setup);
  Workload& workload = *made;
  // Warm up rings and caches.
  for (std::uint32_t round = 0; round < 2 * workload.rounds(); ++round) {
    workload.prepare();
    workload.run();
  }
  InstructionCounter counter;
  std::uint64_t instructions = 0;
  for (std::uint32_t round = 0; round < workload.rounds(); ++round) {
    workload.prepare();
    counter.start();
    workload.run();
    instructions += counter.stop();
  }
  return static_cast<double>(instructions) / workload.rounds() / workload.operations();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace pollux::bench
