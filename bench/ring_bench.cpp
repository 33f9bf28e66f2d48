// SPDX-License-Identifier: BSD-3-Clause
// Compares free-running ring indices with indices that are wrapped at each step.
#include <array>

#include "pollux/base/ring_index.hpp"
#include "report.hpp"

namespace pollux::bench {
namespace {

constexpr std::uint32_t kSlots = 512;
constexpr std::uint32_t kSteps = 4096;

void free_running(benchmark::State& state) {
  std::array<std::uint64_t, kSlots> slots{};
  RingIndex head;
  RingIndex tail;
  measure(
      state, kSteps, [] {},
      [&] {
        for (std::uint32_t i = 0; i < kSteps; ++i) {
          if (head.distance_from(tail) == kSlots) ++tail;
          slots[head.slot(kSlots - 1)] = i;
          ++head;
        }
        benchmark::DoNotOptimize(slots.data());
      });
}
BENCHMARK(free_running)->Apply(repeated_for_a_while);

void wrapped(benchmark::State& state) {
  std::array<std::uint64_t, kSlots> slots{};
  std::uint32_t head = 0;
  std::uint32_t tail = 0;
  measure(
      state, kSteps, [] {},
      [&] {
        for (std::uint32_t i = 0; i < kSteps; ++i) {
          const std::uint32_t next = head + 1 == kSlots ? 0 : head + 1;
          if (next == tail) tail = tail + 1 == kSlots ? 0 : tail + 1;
          slots[head] = i;
          head = next;
        }
        benchmark::DoNotOptimize(slots.data());
      });
}
BENCHMARK(wrapped)->Apply(repeated_for_a_while);

}  // namespace
}  // namespace pollux::bench

int main(int argc, char** argv) { return pollux::bench::run(argc, argv); }
