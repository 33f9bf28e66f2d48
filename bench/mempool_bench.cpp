// SPDX-License-Identifier: BSD-3-Clause
// What getting and giving back mbufs costs: through a thread's cache, and through the pool's shared list.
#include <array>

#include "report.hpp"
#include "rig.hpp"

namespace pollux::bench {
namespace {

constexpr std::uint32_t kRounds = 512;

struct PoolRig {
  Context context{talking()};
  Mempool pool = need(Mempool::create(context, {.count = 8192}));
  MempoolCache cache{pool, MempoolCache::kMaxCapacity};
  PoolRig() { shuffle(pool); }
};

void cached_bulk(benchmark::State& state) {
  PoolRig rig;
  const auto burst = static_cast<std::uint32_t>(state.range(0));
  std::array<Mbuf*, 64> mbufs{};
  measure(
      state, kRounds, [] {},
      [&] {
        for (std::uint32_t i = 0; i < kRounds; i += burst) {
          if (!rig.cache.allocate_bulk({mbufs.data(), burst})) std::abort();
          benchmark::DoNotOptimize(mbufs.data());
          rig.cache.free_bulk({mbufs.data(), burst});
        }
      });
}
BENCHMARK(cached_bulk)->Apply(repeated_for_a_while)->ArgName("burst")->Arg(1)->Arg(8)->Arg(32)->Arg(64);

void shared_list(benchmark::State& state) {
  PoolRig rig;
  measure(
      state, kRounds, [] {},
      [&] {
        for (std::uint32_t i = 0; i < kRounds; ++i) benchmark::DoNotOptimize(rig.pool.allocate());
      });
}
BENCHMARK(shared_list)->Apply(repeated_for_a_while);

// The stock changes hands between caches all the time: every mbuf goes through the shared list.
void cache_to_cache(benchmark::State& state) {
  PoolRig rig;
  MempoolCache other(rig.pool, 64);
  std::array<Mbuf*, 64> mbufs{};
  measure(
      state, kRounds, [] {},
      [&] {
        for (std::uint32_t i = 0; i < kRounds; i += 32) {
          if (!rig.cache.allocate_bulk({mbufs.data(), 32})) std::abort();
          other.free_bulk({mbufs.data(), 32});
        }
      });
}
BENCHMARK(cache_to_cache)->Apply(repeated_for_a_while);

}  // namespace
}  // namespace pollux::bench

int main(int argc, char** argv) { return pollux::bench::run(argc, argv); }
