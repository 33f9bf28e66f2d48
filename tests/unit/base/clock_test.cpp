// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/base/clock.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace pollux {
namespace {

using namespace std::chrono_literals;

TEST(ManualClock, AdvancesOnlyOnRequest) {
  ManualClock clock;
  EXPECT_EQ(clock.now(), 0ns);
  EXPECT_EQ(clock.now(), 0ns);
  clock.advance(3ms);
  EXPECT_EQ(clock.now(), 3ms);
  clock.sleep_for(2ms);
  EXPECT_EQ(clock.now(), 5ms);
}

TEST(ManualClock, DoesNotGoBack) {
  ManualClock clock;
  clock.advance(1ms);
  clock.advance(-1ms);
  clock.sleep_for(0ns);
  EXPECT_EQ(clock.now(), 1ms);
}

TEST(ManualClock, CallsFollowersAfterEachStep) {
  ManualClock clock;
  std::vector<Duration> seen;
  clock.follow([&](Duration now) { seen.push_back(now); });
  clock.advance(2 * ManualClock::kStep + 3us);
  EXPECT_EQ(seen, (std::vector<Duration>{ManualClock::kStep, 2 * ManualClock::kStep, 2 * ManualClock::kStep + 3us}));
}

TEST(ManualClock, CallsFollowersInOrder) {
  ManualClock clock;
  std::vector<int> order;
  clock.follow([&](Duration) { order.push_back(1); });
  clock.follow([&](Duration) { order.push_back(2); });
  clock.advance(1us);
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(SteadyClock, SleepsAtLeastTheRequestedTime) {
  SteadyClock clock;
  const Duration start = clock.now();
  clock.sleep_for(2ms);
  EXPECT_GE(clock.now() - start, 2ms);
}

TEST(SteadyClock, ReturnsAtOnceForZeroAndNegativeTimes) {
  SteadyClock clock;
  const Duration start = clock.now();
  clock.sleep_for(0ns);
  clock.sleep_for(-1h);
  EXPECT_LT(clock.now() - start, 30s);
}

}  // namespace
}  // namespace pollux
