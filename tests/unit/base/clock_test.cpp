// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/base/clock.hpp"

#include <gtest/gtest.h>
#include <algorithm>
#include <memory>

#include <array>
#include <thread>
#include <vector>

namespace pollux {
namespace {

using namespace std::chrono_literals;

TEST(TimeAfter, IsNoLaterThanTheLastTime) {
  EXPECT_EQ(time_after(Time(5), Duration(3)), Time(8));
  EXPECT_EQ(time_after(Time(5), Duration(-3)), Time(2));
  EXPECT_EQ(time_after(Time(5), Duration::max()), Time::max());
  EXPECT_EQ(time_after(Time::max(), Duration(1)), Time::max());
}

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

TEST(ManualClock, ThreadsAdvanceItTogether) {
  constexpr int kSteps = 20'000;
  ManualClock clock;
  int seen = 0;  // not atomic: steps follow each other
  clock.follow([&](Duration) { ++seen; });
  const auto advance = [&] {
    for (int i = 0; i < kSteps; ++i) clock.advance(ManualClock::kStep);
  };
  std::thread other(advance);
  while (clock.now() == Time{}) std::this_thread::yield();
  for (int i = 0; i < 100; ++i) clock.follow([](Duration) {});  // while the other one is calling them
  advance();
  other.join();
  EXPECT_EQ(seen, 2 * kSteps);
  EXPECT_EQ(clock.now(), 2 * kSteps * ManualClock::kStep);
}

TEST(ManualClock, AFollowerMayAddOthers) {
  ManualClock clock;
  int late = 0;
  int own = 0;
  // What it owns is in the follower itself, which must not move while it runs.
  clock.follow([&, marker = std::array<int, 4>{1, 2, 3, 4}](Duration) {
    for (int i = 0; i < 20; ++i) clock.follow([&late](Duration) { ++late; });
    own += marker[3];
  });
  clock.advance(ManualClock::kStep);
  EXPECT_EQ(own, 4);
  EXPECT_EQ(late, 0) << "from the next step on";
  clock.advance(ManualClock::kStep);
  EXPECT_EQ(own, 8);
  EXPECT_EQ(late, 20);
}

TEST(ManualClock, OmitsStepsAtWhichNoFollowerHasWork) {
  ManualClock clock;
  std::vector<Duration> seen;
  Duration next = 42us;
  clock.follow([&](Duration now) { seen.push_back(now); }, [&] { return next; });
  clock.advance(55us);
  EXPECT_EQ(seen, (std::vector<Duration>{50us, 55us})) << "the first step that is not before 42 us";
  next = Duration::min();
  seen.clear();
  clock.advance(15us);
  EXPECT_EQ(seen, (std::vector<Duration>{65us, 70us})) << "a time that has passed";
  next = Duration::max();
  seen.clear();
  clock.advance(1h);
  EXPECT_EQ(seen, (std::vector<Duration>{1h + 70us}));
}

TEST(ManualClock, OmitsNoStepThatAnotherFollowerNeeds) {
  ManualClock clock;
  unsigned calls = 0;
  clock.follow([&](Duration) { ++calls; }, [] { return Duration::max(); });
  clock.follow([](Duration) {});
  clock.advance(1ms);
  EXPECT_EQ(calls, 100U);
}

TEST(ManualClock, RaisesAnAlarmInAStepThatNoFollowerNeeds) {
  ManualClock clock;
  auto alarm = clock.make_alarm();
  ASSERT_TRUE(alarm);
  (*alarm)->set(33us);
  std::vector<Duration> seen;
  clock.follow([&](Duration now) { seen.push_back(now); }, [] { return Duration::max(); });
  clock.advance(1ms);
  EXPECT_EQ(seen, (std::vector<Duration>{40us, 1ms}));
}

TEST(ManualClock, CallsFollowersInOrder) {
  ManualClock clock;
  std::vector<int> order;
  clock.follow([&](Duration) { order.push_back(1); });
  clock.follow([&](Duration) { order.push_back(2); });
  clock.advance(1us);
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

// A program that opens and closes simulated ports for long must not keep a follower of each.
TEST(ManualClock, ForgetsFollowersWhoseOwnersAreGone) {
  ManualClock clock;
  std::vector<std::weak_ptr<int>> kept;
  unsigned asked = 0;
  const auto add = [&](const std::shared_ptr<int>& owner) {
    auto mark = std::make_shared<int>();
    kept.push_back(mark);
    clock.follow([mark](Duration) {}, [&asked] { return ++asked, Duration::max(); }, owner);
  };
  const auto first = std::make_shared<int>();
  add(first);
  for (int i = 0; i < 100; ++i) add(std::make_shared<int>());
  EXPECT_EQ(std::count_if(kept.begin(), kept.end(), [](const auto& mark) { return !mark.expired(); }), 2);
  EXPECT_FALSE(kept.front().expired());
  clock.advance(1us);
  EXPECT_EQ(asked, 2u);
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
