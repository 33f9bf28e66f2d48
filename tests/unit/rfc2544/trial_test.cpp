// SPDX-License-Identifier: BSD-3-Clause
#include "bench/trial.hpp"

#include "unit/rfc2544/fixture.hpp"

namespace pollux::tool::bench {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Duration kWait = milliseconds(5);

// A frame of 64 bytes takes 672 ns of a line of 1 Gbit/s, one of 1,518 takes 12,304 ns.
TEST(Trial, AFrameTakesItsTimeOnTheWireAndNoMore) {
  BenchFixture bench("wire");
  for (const auto& [size, slot] : {std::pair{64U, 672U}, std::pair{1518U, 12'304U}}) {
    for (const Load load : {kFullLoad, kFullLoad / 3}) {
      const TrialResult result = bench.run({.size = size, .load = load, .frames = 1000, .wait = kWait});
      EXPECT_TRUE(result.counts.passed());
      EXPECT_EQ(result.latency.count(), 1000U);
      EXPECT_EQ(result.latency.min(), slot);
      EXPECT_EQ(result.latency.max(), slot);
    }
  }
}

TEST(Trial, TheDelayOfTheWireIsPartOfTheLatency) {
  BenchFixture bench("wire", "sim:0?delay=50us");
  const TrialResult result = bench.run({.frames = 500, .wait = kWait});
  EXPECT_EQ(result.latency.min(), 50'672U);
  EXPECT_EQ(result.latency.max(), 50'672U);
}

// Through a forwarder a frame is on two wires, and is processed for 1 / rate.
TEST(Trial, AForwarderAddsItsProcessingAndAWire) {
  BenchFixture bench("forward?rate=1000000");
  const TrialResult result = bench.run({.load = kFullLoad / 2, .frames = 500, .wait = kWait});
  EXPECT_TRUE(result.counts.passed());
  EXPECT_EQ(result.latency.min(), 672U + 1000U + 672U);
  EXPECT_EQ(result.latency.max(), 672U + 1000U + 672U);
}

TEST(Trial, AWireThatIsSlowerThanTheLineMakesTheSenderLate) {
  BenchFixture bench("wire", "sim:0?rate=100M", 1518, 1'000'000'000);
  const TrialResult result = bench.run({.frames = 10'000, .wait = kWait});
  EXPECT_FALSE(result.counts.in_time);
  EXPECT_GT(result.counts.sent, 1000U) << "the wire takes 6,720 ns for each";
  EXPECT_LT(result.counts.sent, 10'000U);
}

TEST(Trial, LostFramesAreCounted) {
  BenchFixture bench("forward?loss=10%");
  const TrialResult result = bench.run({.frames = 10'000, .wait = kWait});
  EXPECT_EQ(result.counts.sent, 10'000U);
  EXPECT_NEAR(static_cast<double>(result.counts.lost()), 1000, 100);
  EXPECT_EQ(result.latency.count(), result.counts.received);
}

TEST(Trial, DuplicatesAndReorderedFramesAreNotReceivedTwice) {
  BenchFixture bench("wire", "sim:0?duplicate=0.1,reorder=0.1");
  const TrialResult result = bench.run({.load = kFullLoad / 4, .frames = 2000, .wait = kWait});
  EXPECT_EQ(result.counts.received, 2000U);
  EXPECT_GT(result.duplicated, 100U);
  EXPECT_GT(result.reordered, 100U);
}

TEST(Trial, CorruptFramesAreLost) {
  BenchFixture bench("wire", "sim:0?mangle=0.1");
  const TrialResult result = bench.run({.frames = 1000, .wait = kWait});
  EXPECT_GT(result.counts.lost(), 50U);
  EXPECT_GT(result.corrupt, 50U);
  EXPECT_LE(result.corrupt, result.counts.lost());
}

TEST(Trial, LateFramesOfOneTrialDoNotCountInTheNext) {
  BenchFixture bench("wire", "sim:0?delay=3ms");
  EXPECT_EQ(bench.run({.frames = 100, .wait = microseconds(100)}).counts.received, 0U);
  const TrialResult next = bench.run({.frames = 100, .wait = kWait});
  EXPECT_EQ(next.counts.received, 100U);
  EXPECT_EQ(next.duplicated + next.reordered, 0U);
}

TEST(Trial, FramesOfSeveralBuffersAreSentAndChecked) {
  BenchFixture bench("forward", "sim:0", 9018);
  const TrialResult result = bench.run({.size = 9018, .frames = 200, .wait = kWait});
  EXPECT_TRUE(result.counts.passed());
}

TEST(Trial, AStopEndsItWithAnError) {
  BenchFixture bench("wire");
  TrialRunner runner(*bench.bed, [] { return true; });
  const auto result = runner.run({.frames = 1'000'000, .wait = kWait});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::bad_state);
}

}  // namespace
}  // namespace pollux::tool::bench
