// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "pollux/base/clock.hpp"

namespace pollux {
namespace {

using namespace std::chrono_literals;

TEST(WaitUntil, DoesNotSleepForWhatHoldsAlready) {
  ManualClock clock;
  EXPECT_TRUE(wait_until(clock, "anything", 10ms, [] { return true; }));
  EXPECT_EQ(clock.now(), 0ns);
}

TEST(WaitUntil, ReturnsSoonAfterTheConditionHolds) {
  ManualClock clock;
  EXPECT_TRUE(wait_until(clock, "CTRL.RST", 10ms, [&] { return clock.now() >= 3ms; }));
  EXPECT_GE(clock.now(), 3ms);
  EXPECT_LE(clock.now(), 3ms + 50us);
}

TEST(WaitUntil, NamesWhatDidNotHappenAndTheLimit) {
  ManualClock clock;
  const Result<void> result = wait_until(clock, "RXDCTL.ENABLE", 10ms, [] { return false; });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::timeout);
  EXPECT_EQ(result.error().what, "RXDCTL.ENABLE did not happen within 10 ms");
  EXPECT_GE(clock.now(), 10ms);
  EXPECT_LE(clock.now(), 10ms + 50us);
}

TEST(WaitUntil, NamesALimitBelowAMillisecondAsItIs) {
  ManualClock clock;
  const Result<void> result = wait_until(clock, "MDIC.READY", 250us, [] { return false; });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().what, "MDIC.READY did not happen within 250 us");
}

TEST(WaitUntil, LooksOnceEvenWithoutTime) {
  ManualClock clock;
  int looks = 0;
  EXPECT_FALSE(wait_until(clock, "nothing", 0ms, [&] { return ++looks, false; }));
  EXPECT_GE(looks, 1);
  EXPECT_TRUE(wait_until(clock, "something", 0ms, [] { return true; }));
}

/// A thread that the kernel did not run for longer than the limit: time has passed, but nobody had looked.
TEST(WaitUntil, LooksOnceMoreAfterTheLimit) {
  class LateClock final : public Clock {
   public:
    [[nodiscard]] Duration now() const override { return now_; }
    void sleep_for(Duration) override { now_ += 1h; }

   private:
    Duration now_{0};
  };
  LateClock clock;
  int looks = 0;
  EXPECT_TRUE(wait_until(clock, "link", 10ms, [&] { return ++looks > 1; }));
  // The condition may come true between the look at it and the look at the clock, too.
  LateClock second;
  looks = 0;
  EXPECT_TRUE(wait_until(second, "link", 10ms, [&] { return ++looks > 2; }));
}

TEST(WaitUntil, SleepsTheIntervalBetweenLooks) {
  ManualClock clock;
  int looks = 0;
  EXPECT_TRUE(wait_until(
      clock, "slow", 1s, [&] { return ++looks == 4; }, 7ms));
  EXPECT_EQ(clock.now(), 21ms);
}

}  // namespace
}  // namespace pollux
