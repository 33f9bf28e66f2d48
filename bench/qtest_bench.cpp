// SPDX-License-Identifier: BSD-3-Clause
// Register accesses a second through QEMU's test protocol. Pin it with taskset to say how many processors QEMU and this
// share.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <memory>

#include "backends/qtest/open_qtest.hpp"
#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igb/registers.hpp"
#include "pollux/mem/context.hpp"

namespace {

using namespace pollux;
namespace reg = hw::igb;

/// A card of a QEMU's; the program says why there is none.
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

/// `range(0)` writes, then one flush; what is unanswered at the end is waited for.
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
