// SPDX-License-Identifier: BSD-3-Clause
#include "bench/search.hpp"

#include <gtest/gtest.h>

#include <random>

namespace pollux::tool::bench {
namespace {

constexpr std::uint64_t kFrames = 10'000;

TrialCounts outcome(bool passes) { return {kFrames, kFrames, passes ? kFrames : kFrames - 1, true}; }

/// A device that loses frames above a load.
LoadFunction limited_to(Load capacity) {
  return [capacity](Load load) -> Result<TrialCounts> { return outcome(load <= capacity); };
}

TEST(ThroughputSearch, FindsTheCapacityWithinTheResolution) {
  for (const Load capacity : {1'000U, 1'001U, 17'321U, 499'999U, 500'000U, 500'001U, 998'999U, 999'999U, 1'000'000U}) {
    for (const Load resolution : {1U, 10U, 1'000U}) {
      const auto found = find_throughput({.resolution = resolution}, limited_to(capacity));
      ASSERT_TRUE(found);
      EXPECT_LE(found->load, capacity);
      EXPECT_GE(found->load + resolution, capacity) << capacity << " to " << resolution;
      EXPECT_FALSE(found->contradicted());
      EXPECT_FALSE(found->sender_limited());
      EXPECT_LE(found->trials.size(), 23U);
    }
  }
}

TEST(ThroughputSearch, ADeviceThatForwardsEverythingNeedsOneTrialAndItsConfirmations) {
  const auto found = find_throughput({.confirmations = 3}, limited_to(kFullLoad));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->load, kFullLoad);
  EXPECT_EQ(found->trials.size(), 4U);
}

TEST(ThroughputSearch, ADeviceThatForwardsNothingHasNoThroughput) {
  const auto found = find_throughput({}, limited_to(0));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->load, 0U);
  EXPECT_LE(found->trials.size(), 12U);
}

TEST(ThroughputSearch, StaysBelowTheHighestLoad) {
  const auto found = find_throughput({.max = 300'000}, limited_to(kFullLoad));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->load, 300'000U);
  for (const LoadTrial& trial : found->trials) EXPECT_LE(trial.load, 300'000U);
}

// The device passes each load by chance, less often the closer it is to its capacity.
TEST(ThroughputSearch, TheResultOfANoisyDevicePassedItsConfirmations) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    const LoadFunction noisy = [&](Load load) -> Result<TrialCounts> {
      const double chance = load > 600'000 ? 0 : 1 - load / 600'000.0;
      return outcome(std::uniform_real_distribution<double>(0, 1)(random) < chance);
    };
    const auto found = find_throughput({.confirmations = 2}, noisy);
    ASSERT_TRUE(found);
    EXPECT_LE(found->load, 600'000U);
    EXPECT_LE(found->trials.size(), 400U);
    if (found->load == 0) continue;
    ASSERT_GE(found->trials.size(), 3U);
    for (std::size_t i = found->trials.size() - 2; i < found->trials.size(); ++i) {
      EXPECT_EQ(found->trials[i].load, found->load);
      EXPECT_TRUE(found->trials[i].counts.passed());
    }
  }
}

// One failed trial near the end must not send the search to a load that is far too low.
TEST(ThroughputSearch, AFailedConfirmationLowersTheResultByLittle) {
  unsigned trials_at_capacity = 0;
  const LoadFunction trial = [&](Load load) -> Result<TrialCounts> {
    if (load > 500'000) return outcome(false);
    if (load > 498'000) return outcome(++trials_at_capacity < 3);
    return outcome(true);
  };
  const auto found = find_throughput({.confirmations = 1}, trial);
  ASSERT_TRUE(found);
  EXPECT_LE(found->load, 500'000U);
  EXPECT_GE(found->load, 490'000U);
}

TEST(ThroughputSearch, ADeviceThatPassesOnceOnlyEndsTheSearch) {
  std::map<Load, int> tried;
  const auto found = find_throughput({.confirmations = 1},
                                     [&](Load load) -> Result<TrialCounts> { return outcome(++tried[load] == 1); });
  ASSERT_TRUE(found);
  EXPECT_EQ(found->load, 0U);
  EXPECT_LE(found->trials.size(), 200U);
}

// The device loses frames between 20 % and 40 % as well. The search finds one boundary, and where it has seen the other
// loss, the result says so.
TEST(ThroughputSearch, ANonMonotonicDeviceIsReportedWhereItsLossWasSeen) {
  const LoadFunction trial = [](Load load) -> Result<TrialCounts> {
    return outcome(load <= 200'000 || (load > 400'000 && load <= 700'000));
  };
  const auto found = find_throughput({}, trial);
  ASSERT_TRUE(found);
  EXPECT_GE(found->load + 1000, 700'000U);
  EXPECT_LE(found->load, 700'000U);
  EXPECT_FALSE(found->contradicted());
  Throughput with_loss = *found;
  with_loss.trials.push_back({300'000, outcome(false)});
  EXPECT_TRUE(with_loss.contradicted());
}

TEST(ThroughputSearch, ASenderThatCannotOfferTheLoadIsNamed) {
  const LoadFunction trial = [](Load load) -> Result<TrialCounts> {
    const std::uint64_t sent = load <= 250'000 ? kFrames : kFrames / 2;
    return TrialCounts{kFrames, sent, sent, true};
  };
  const auto found = find_throughput({}, trial);
  ASSERT_TRUE(found);
  EXPECT_LE(found->load, 250'000U);
  EXPECT_GE(found->load + 1000, 250'000U);
  EXPECT_TRUE(found->sender_limited());
}

TEST(ThroughputSearch, AnErrorEndsIt) {
  const auto found = find_throughput({}, [](Load load) -> Result<TrialCounts> {
    if (load < 300'000) return fail(ErrorCode::device_removed, "gone");
    return outcome(false);
  });
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::device_removed);
}

TEST(FrameLoss, EndsAfterTwoLoadsWithoutLoss) {
  const auto trials = measure_frame_loss(kFullLoad, limited_to(750'000));
  ASSERT_TRUE(trials);
  std::vector<Load> loads;
  for (const LoadTrial& trial : *trials) loads.push_back(trial.load);
  EXPECT_EQ(loads, (std::vector<Load>{1'000'000, 900'000, 800'000, 700'000, 600'000}));
}

TEST(FrameLoss, TwoLoadsAreEnoughWithoutLossAndTenWithLossAtAll) {
  EXPECT_EQ(measure_frame_loss(kFullLoad, limited_to(kFullLoad))->size(), 2U);
  EXPECT_EQ(measure_frame_loss(kFullLoad, limited_to(0))->size(), 10U);
  EXPECT_EQ(measure_frame_loss(50'000, limited_to(0))->size(), 1U);
}

TEST(BackToBack, FindsTheLongestBurst) {
  for (const std::uint64_t longest : {0U, 1U, 2U, 77U, 1'488U, 29'761U, 29'762U}) {
    const auto found = find_back_to_back(29'762, [longest](std::uint64_t frames) -> Result<TrialCounts> {
      return TrialCounts{frames, frames, std::min(frames, longest), true};
    });
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, longest);
  }
}

}  // namespace
}  // namespace pollux::tool::bench
