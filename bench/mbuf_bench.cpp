// SPDX-License-Identifier: BSD-3-Clause
// Measures the operations of an application on mbufs.
#include <vector>

#include "fixture.hpp"
#include "report.hpp"

namespace pollux::bench {
namespace {

constexpr std::uint32_t kMbufs = 256;

struct MbufFixture {
  Context context{logging_options()};
  Mempool pool = need(Mempool::create(context, {.count = 4096}));
  MempoolCache cache{pool, MempoolCache::kMaxCapacity};
  std::vector<MbufPtr> mbufs;

  explicit MbufFixture(std::uint32_t length) {
    shuffle(pool);
    for (std::uint32_t i = 0; i < kMbufs; ++i) {
      mbufs.push_back(cache.allocate());
      if (mbufs.back()->append(length) == nullptr) std::abort();
    }
  }
};

void append_and_trim(benchmark::State& state) {
  MbufFixture fixture(60);
  measure(
      state, kMbufs, [] {},
      [&] {
        for (MbufPtr& mbuf : fixture.mbufs) {
          benchmark::DoNotOptimize(mbuf->append(4));
          benchmark::DoNotOptimize(mbuf->trim(4));
        }
      });
}
BENCHMARK(append_and_trim)->Apply(repeated_for_a_while);

void prepend_and_strip(benchmark::State& state) {
  MbufFixture fixture(60);
  measure(
      state, kMbufs, [] {},
      [&] {
        for (MbufPtr& mbuf : fixture.mbufs) {
          benchmark::DoNotOptimize(mbuf->prepend(4));
          benchmark::DoNotOptimize(mbuf->strip(4));
        }
      });
}
BENCHMARK(prepend_and_strip)->Apply(repeated_for_a_while);

void clone_and_free(benchmark::State& state) {
  MbufFixture fixture(60);
  measure(
      state, kMbufs, [] {},
      [&] {
        for (MbufPtr& mbuf : fixture.mbufs) fixture.cache.free(mbuf->clone(fixture.cache));
      });
}
BENCHMARK(clone_and_free)->Apply(repeated_for_a_while);

void walk_a_chain_of_five(benchmark::State& state) {
  MbufFixture fixture(1800);
  for (std::uint32_t i = 0; i + 5 <= kMbufs; i += 5) {
    for (std::uint32_t j = 1; j < 5; ++j) {
      if (!fixture.mbufs[i]->chain(fixture.mbufs[i + j])) std::abort();
    }
  }
  measure(
      state, kMbufs / 5, [] {},
      [&] {
        for (std::uint32_t i = 0; i + 5 <= kMbufs; i += 5) {
          std::uint32_t bytes = 0;
          for (const Mbuf* segment = fixture.mbufs[i].get(); segment != nullptr; segment = segment->next())
            bytes += segment->length();
          benchmark::DoNotOptimize(bytes);
        }
      });
}
BENCHMARK(walk_a_chain_of_five)->Apply(repeated_for_a_while);

}  // namespace
}  // namespace pollux::bench

int main(int argc, char** argv) { return pollux::bench::run(argc, argv); }
