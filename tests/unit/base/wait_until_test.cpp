// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "pollux/base/clock.hpp"

namespace pollux {
namespace {

using namespace std::chrono_literals;

TEST(WaitUntil, DoesNotSleepIfTheConditionIsTrue) {
  ManualClock clock;
  EXPECT_TRUE(wait_until(clock, "anything", 10ms, [] { return true; }));
  EXPECT_EQ(clock.now(), 0ns);
}

TEST(WaitUntil, ReturnsSoonAfterTheConditionIsTrue) {
  ManualClock clock;
  EXPECT_TRUE(wait_until(clock, "CTRL.RST", 10ms, [&] { return clock.now() >= 3ms; }));
  EXPECT_GE(clock.now(), 3ms);
  EXPECT_LE(clock.now(), 3ms + 50us);
}

TEST(WaitUntil, NamesTheConditionAndTheLimit) {
  ManualClock clock;
  const Result<void> result = wait_until(clock, "RXDCTL.ENABLE", 10ms, [] { return false; });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::timeout);
  EXPECT_EQ(result.error().what, "RXDCTL.ENABLE did not happen within 10 ms");
  EXPECT_GE(clock.now(), 10ms);
  EXPECT_LE(clock.now(), 10ms + 50us);
}

TEST(WaitUntil, NamesALimitInMicroseconds) {
  ManualClock clock;
  const Result<void> result = wait_until(clock, "MDIC.READY", 250us, [] { return false; });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().what, "MDIC.READY did not happen within 250 us");
}

TEST(WaitUntil, ChecksOnceEvenWithoutTime) {
  ManualClock clock;
  int checks = 0;
  EXPECT_FALSE(wait_until(clock, "nothing", 0ms, [&] { return ++checks, false; }));
  EXPECT_GE(checks, 1);
  EXPECT_TRUE(wait_until(clock, "something", 0ms, [] { return true; }));
}

/// The kernel did not run the thread for longer than the limit: time has passed, but the condition was not checked.
TEST(WaitUntil, ChecksOnceMoreAfterTheLimit) {
  class LateClock final : public Clock {
   public:
    [[nodiscard]] Duration now() const override { return now_; }
    void sleep_for(Duration) override { now_ += 1h; }

   private:
    Duration now_{0};
  };
  LateClock clock;
  int checks = 0;
  EXPECT_TRUE(wait_until(clock, "link", 10ms, [&] { return ++checks > 1; }));
  // The condition may also become true between the check and the reading of the clock.
  LateClock second;
  checks = 0;
  EXPECT_TRUE(wait_until(second, "link", 10ms, [&] { return ++checks > 2; }));
}

TEST(WaitUntil, SleepsTheIntervalBetweenChecks) {
  ManualClock clock;
  int checks = 0;
  EXPECT_TRUE(wait_until(
      clock, "slow", 1s, [&] { return ++checks == 4; }, 7ms));
  EXPECT_EQ(clock.now(), 21ms);
}

}  // namespace
}  // namespace pollux
