// SPDX-License-Identifier: BSD-3-Clause
// Measures register accesses per second through QEMU's test protocol. Use taskset to set how many processors QEMU and
// this program share.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <memory>

#include "backends/qtest/device.hpp"
#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igb/registers.hpp"
#include "pollux/mem/context.hpp"

namespace {

using namespace pollux;
namespace reg = hw::igb;

/// A card of QEMU. Prints the reason if there is none.
struct Card {
  Card() {
    auto opened = qtest::open_qtest(context, "0");
    if (!opened) {
      std::fprintf(stderr, "%s\n", opened.error().message().c_str());
      return;
    }
    device = *std::move(opened);
    if (auto window = device->bar(reg::kRegisterBar)) bar = *window;
  }
  Context context{{.huge_pages = HugePages::never}};
  std::unique_ptr<Device> device;
  Bar bar;
};

void read_register(benchmark::State& state) {
  const Card card;
  if (!card.bar) return state.SkipWithError("no QEMU");
  for (auto _ : state) benchmark::DoNotOptimize(card.bar.read32(reg::STATUS::offset()));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(read_register)->UseRealTime();

/// Makes `range(0)` writes, then one flush. Waits at the end for outstanding answers.
void write_register(benchmark::State& state) {
  const Card card;
  if (!card.bar) return state.SkipWithError("no QEMU");
  for (auto _ : state) {
    for (std::int64_t i = 0; i < state.range(0); ++i) card.bar.write32(reg::RLPML::offset(), 1518);
    card.bar.flush();
  }
  static_cast<void>(card.bar.read32(reg::STATUS::offset()));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(write_register)->Arg(1)->Arg(32)->Arg(256)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
