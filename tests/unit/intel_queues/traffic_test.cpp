// SPDX-License-Identifier: BSD-3-Clause
#include "unit/intel_queues/traffic.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <tuple>

#include "unit/mem/machine.hpp"

namespace pollux::test {
namespace {

constexpr std::uint32_t kSeeds = 4;

class TrafficTest : public testing::TestWithParam<std::tuple<std::uint32_t, bool>> {
 protected:
  /// Options that depend on the seed, except those that a test sets.
  [[nodiscard]] static TrafficOptions options(std::uint32_t seed) {
    const auto [ring, remote] = GetParam();
    constexpr std::uint32_t kTxRings[] = {8, 16, 32, 64, 128, 512, 4096};
    constexpr std::uint32_t kLimits[] = {1, 2, 7, 32, 33, 64, 512};
    TrafficOptions options;
    options.seed = seed * 7919 + ring;
    options.frames = kFramesARun;
    options.burst_limit = kLimits[(seed + ring / 8) % 7];
    options.fixture.rx_ring = ring;
    options.fixture.tx_ring = kTxRings[(seed * 3 + ring / 16) % 7];
    options.fixture.remote = remote;
    options.fixture.tx_cache = seed % 3 != 0;
    options.fixture.cache = seed % 2 == 0 ? 64 : 256;
    options.fixture.pool = {
        .count = ring + 9000, .data_room = seed % 2 == 0 ? 2048U : 1024U, .ip_align = seed % 2 == 0, .name = "rx"};
    options.fixture.pool.count = ring + options.fixture.tx_ring * 12 + 2000;
    return options;
  }

  static void run(const TrafficOptions& options, bool expect_starvation = false) {
    SCOPED_TRACE(fmt::format("seed {}, rx ring {}, tx ring {}, burst {}", options.seed, options.fixture.rx_ring,
                             options.fixture.tx_ring, options.burst_limit));
    Traffic traffic(options);
    traffic.run();
    EXPECT_GE(traffic.frames(), options.frames);
    EXPECT_EQ(traffic.starved() != 0, expect_starvation);
  }
};

TEST_P(TrafficTest, ConservesEveryFrameAndBuffer) {
  for (std::uint32_t seed = 1; seed <= kSeeds && !HasFailure(); ++seed) run(options(seed));
}

TEST_P(TrafficTest, SurvivesAFaultyCardAndBadFrames) {
  for (std::uint32_t seed = 1; seed <= kSeeds && !HasFailure(); ++seed) {
    TrafficOptions hostile = options(100 + seed);
    hostile.hostile = true;
    hostile.switch_caches = true;
    run(hostile);
  }
}

TEST_P(TrafficTest, RecoversFromAnExhaustedPool) {
  for (std::uint32_t seed = 1; seed <= kSeeds && !HasFailure(); ++seed) {
    TrafficOptions starved = options(200 + seed);
    starved.hostile = seed % 2 == 0;
    // Enough mbufs to replace the longest frame if all others are free.
    starved.fixture.pool.count = starved.fixture.rx_ring + 10 + seed;
    run(starved, true);
  }
}

TEST_P(TrafficTest, StopsAndStartsInTheMiddle) {
  for (std::uint32_t seed = 1; seed <= kSeeds && !HasFailure(); ++seed) {
    TrafficOptions stopping = options(300 + seed);
    stopping.stops = true;
    stopping.hostile = seed % 2 == 0;
    run(stopping);
  }
}

TEST_P(TrafficTest, MemoryInTwoSegments) {
  for (std::uint32_t seed = 1; seed <= kSeeds && !HasFailure(); ++seed) {
    TrafficOptions split = options(400 + seed);
    split.fixture.split_memory = true;
    split.hostile = seed % 2 == 0;
    run(split);
  }
}

INSTANTIATE_TEST_SUITE_P(, TrafficTest,
                         testing::Combine(testing::Values(8u, 16u, 32u, 64u, 128u, 512u, 4096u), testing::Bool()),
                         [](const auto& param) {
                           return fmt::format("Ring{}{}", std::get<0>(param.param),
                                              std::get<1>(param.param) ? "Remote" : "Mapped");
                         });

}  // namespace
}  // namespace pollux::test
