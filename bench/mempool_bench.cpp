// SPDX-License-Identifier: BSD-3-Clause
// Measures the allocation and freeing of mbufs through a thread's cache and through the pool's shared list.
#include <array>

#include "fixture.hpp"
#include "report.hpp"

namespace pollux::bench {
namespace {

constexpr std::uint32_t kRounds = 512;

struct PoolFixture {
  Context context{logging_options()};
  Mempool pool = need(Mempool::create(context, {.count = 8192}));
  MempoolCache cache{pool, MempoolCache::kMaxCapacity};
  PoolFixture() { shuffle(pool); }
};

void cached_bulk(benchmark::State& state) {
  PoolFixture fixture;
  const auto burst = static_cast<std::uint32_t>(state.range(0));
  std::array<Mbuf*, 64> mbufs{};
  measure(
      state, kRounds, [] {},
      [&] {
        for (std::uint32_t i = 0; i < kRounds; i += burst) {
          if (!fixture.cache.allocate_bulk({mbufs.data(), burst})) std::abort();
          benchmark::DoNotOptimize(mbufs.data());
          fixture.cache.free_bulk({mbufs.data(), burst});
        }
      });
}
BENCHMARK(cached_bulk)->Apply(repeated_for_a_while)->ArgName("burst")->Arg(1)->Arg(8)->Arg(32)->Arg(64);

void shared_list(benchmark::State& state) {
  PoolFixture fixture;
  measure(
      state, kRounds, [] {},
      [&] {
        for (std::uint32_t i = 0; i < kRounds; ++i) benchmark::DoNotOptimize(fixture.pool.allocate());
      });
}
BENCHMARK(shared_list)->Apply(repeated_for_a_while);

// Allocates from one cache and frees to another, so that every mbuf goes through the shared list.
void cache_to_cache(benchmark::State& state) {
  PoolFixture fixture;
  MempoolCache other(fixture.pool, 64);
  std::array<Mbuf*, 64> mbufs{};
  measure(
      state, kRounds, [] {},
      [&] {
        for (std::uint32_t i = 0; i < kRounds; i += 32) {
          if (!fixture.cache.allocate_bulk({mbufs.data(), 32})) std::abort();
          other.free_bulk({mbufs.data(), 32});
        }
      });
}
BENCHMARK(cache_to_cache)->Apply(repeated_for_a_while);

}  // namespace
}  // namespace pollux::bench

int main(int argc, char** argv) { return pollux::bench::run(argc, argv); }
