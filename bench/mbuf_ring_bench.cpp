// SPDX-License-Identifier: BSD-3-Clause
// Measures rings between threads. One thread alone enqueues and dequeues bursts; then bursts pass between two threads.
#include <atomic>
#include <thread>

#include "fixture.hpp"
#include "pollux/mem/mbuf_ring.hpp"
#include "report.hpp"

namespace pollux::bench {
namespace {

constexpr std::uint32_t kRounds = 512;
constexpr std::uint32_t kSlots = 1024;

struct RingFixture {
  Context context{logging_options()};
  Mempool pool = need(Mempool::create(context, {.count = 8192}));
  MempoolCache cache{pool, MempoolCache::kMaxCapacity};
};

/// One thread enqueues a burst and dequeues it again.
template <class Ring>
void one_thread(benchmark::State& state) {
  RingFixture fixture;
  Ring ring(kSlots);
  Burst<64> burst;
  const auto size = static_cast<std::uint32_t>(state.range(0));
  if (!burst.fill(fixture.cache, size)) std::abort();
  measure(
      state, kRounds, [] {},
      [&] {
        for (std::uint32_t i = 0; i < kRounds; i += size) {
          ring.enqueue(burst);
          ring.dequeue(burst);
        }
      });
  DropCounter done("done");
  burst.drop(done, fixture.cache);
}

/// A thread that sends each frame back at once. The result is the total time divided by the number of frames, each of
/// which passes both rings.
template <class Ring>
class Echo {
 public:
  ~Echo() {
    stop_ = true;
    thread_.join();
  }
  Ring there{kSlots};
  Ring back{kSlots};

 private:
  void run() {
    Burst<64> burst;
    while (!stop_.load(std::memory_order_relaxed)) {
      there.dequeue(burst);
      back.enqueue(burst);
    }
  }
  std::atomic<bool> stop_{false};
  std::thread thread_{[this] { run(); }};
};

template <class Ring>
void two_threads(benchmark::State& state) {
  RingFixture fixture;
  Echo<Ring> echo;
  const auto size = static_cast<std::uint32_t>(state.range(0));
  constexpr std::uint32_t kFrames = 65536;
  const double rate = cycles_per_second();
  std::vector<double> rounds;
  DropCounter done("done");
  for ([[maybe_unused]] auto _ : state) {
    const std::uint64_t start = start_cycles();
    for (std::uint32_t sent = 0, returned = 0; returned < kFrames;) {
      Burst<64> burst;
      if (sent < kFrames && sent - returned < kSlots / 2 && burst.fill(fixture.cache, size)) {
        sent += burst.size();
        while (!burst.empty()) echo.there.enqueue(burst);
      }
      echo.back.dequeue(burst);
      returned += burst.size();
      burst.drop(done, fixture.cache);
    }
    const auto cycles = static_cast<double>(stop_cycles() - start);
    rounds.push_back(cycles);
    state.SetIterationTime(cycles / rate);
  }
  if (!rounds.empty()) state.counters["cycles"] = median(rounds) / kFrames;
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * kFrames);
}

#define POLLUX_RING_CASES(Ring)                                                                         \
  BENCHMARK_TEMPLATE(one_thread, Ring)->Apply(repeated_for_a_while)->ArgName("burst")->Arg(1)->Arg(32); \
  BENCHMARK_TEMPLATE(two_threads, Ring)->Apply(repeated_for_a_while)->ArgName("burst")->Arg(1)->Arg(32)

POLLUX_RING_CASES(SpscMbufRing);
POLLUX_RING_CASES(MpscMbufRing);
POLLUX_RING_CASES(MpmcMbufRing);

}  // namespace
}  // namespace pollux::bench

int main(int argc, char** argv) { return pollux::bench::run(argc, argv); }
