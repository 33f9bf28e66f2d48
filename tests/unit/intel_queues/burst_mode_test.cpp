// SPDX-License-Identifier: BSD-3-Clause
// Each SIMD mode does exactly what the scalar reference does.
#include "pollux/net/burst_mode.hpp"

#include <fmt/format.h>

#include <cstdlib>

#include "support/burst_modes.hpp"
#include "unit/intel_queues/traffic.hpp"
#include "unit/mem/machine.hpp"

namespace pollux::test {
namespace {

class BurstModeTest : public testing::TestWithParam<BurstMode> {
 protected:
  void SetUp() override {
    if (!processor_has(GetParam())) GTEST_SKIP() << "this processor has no " << name(GetParam());
  }

  // The seed varies everything: rings, bursts, caches, buffers, wrong write-backs, chains, foreign pools, clones, an
  // exhausted pool, and stops in between.
  static TrafficOptions options(std::uint32_t seed) {
    constexpr std::uint32_t kRxRings[] = {8, 16, 32, 64, 128, 256, 512};
    constexpr std::uint32_t kTxRings[] = {16, 128, 512, 256, 128, 1024};
    constexpr std::uint32_t kLimits[] = {1, 3, 4, 5, 31, 32, 33, 64, 512};
    TrafficOptions options;
    options.seed = seed * 104729;
    options.frames = kFramesARun;
    options.burst_limit = kLimits[seed % 9];
    options.hostile = seed % 2 == 0;
    // Not with a small pool: a second cache could hold all the mbufs that are left.
    options.switch_caches = seed % 5 == 0 && seed % 4 != 2;
    options.stops = seed % 7 == 0;
    options.fixture.rx_ring = kRxRings[seed % 7];
    options.fixture.tx_ring = kTxRings[seed % 6];
    options.fixture.remote = seed % 4 == 1;
    options.fixture.tx_cache = seed % 6 != 5;
    options.fixture.cache = seed % 3 == 0 ? 64 : 512;
    // The smallest limit is below the buffer size, so that frames in one buffer can be too long.
    constexpr std::uint32_t kMaxFrames[] = {9500, 9500, 900, 4100};
    options.fixture.max_frame = kMaxFrames[seed / 2 % 4];
    const std::uint32_t spare = seed % 4 == 2 ? 10 + seed % 32 : options.fixture.tx_ring * 12 + 2000;
    options.fixture.pool = {.count = options.fixture.rx_ring + spare,
                            .data_room = seed % 3 == 1 ? 1024U : 2048U,
                            .headroom = seed % 2 == 0 ? 128U : 64U,
                            .ip_align = seed % 3 == 2,
                            .name = "rx"};
    return options;
  }

  static std::uint64_t run(TrafficOptions options, BurstMode mode) {
    options.fixture.mode = mode;
    Traffic traffic(options);
    traffic.run();
    return traffic.transcript();
  }

  static void compare(std::uint32_t first, std::uint32_t last) {
    for (std::uint32_t seed = first; seed < last && !HasFailure(); ++seed) {
      SCOPED_TRACE(fmt::format("seed {}", seed));
      EXPECT_EQ(run(options(seed), GetParam()), run(options(seed), BurstMode::scalar));
    }
  }
};

// 12 million frames per mode with POLLUX_LONG in the environment, half a million without it.
TEST_P(BurstModeTest, DoesWhatTheScalarLoopDoes) {
  compare(1, 43);
  if (std::getenv("POLLUX_LONG") != nullptr) compare(1000, 2000);
}

INSTANTIATE_TEST_SUITE_P(, BurstModeTest, testing::ValuesIn(kSimdModes),
                         [](const auto& param) { return std::string(name(param.param)); });

TEST(BurstModeName, IsParsedBack) {
  for (const BurstMode mode :
       {BurstMode::best, BurstMode::scalar, BurstMode::avx2, BurstMode::avx512, BurstMode::neon}) {
    EXPECT_EQ(burst_mode_of(name(mode)), mode);
  }
  EXPECT_EQ(burst_mode_of("mmx"), std::nullopt);
  EXPECT_TRUE(processor_has(best_of(BurstMode::best)));
  EXPECT_EQ(best_of(BurstMode::scalar), BurstMode::scalar);
}

}  // namespace
}  // namespace pollux::test
