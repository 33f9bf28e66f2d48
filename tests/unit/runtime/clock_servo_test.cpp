// SPDX-License-Identifier: BSD-3-Clause
// The servo on clocks that are only numbers.
#include "pollux/runtime/clock_servo.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>

namespace pollux {
namespace {

using namespace std::chrono_literals;

/// A master whose clock is true time, and a local clock with an oscillator that is off.
struct TwoClocks {
  double drift = 0;      // of the local oscillator, parts per billion
  double frequency = 0;  // in force
  double local = 0;      // nanoseconds
  double truth = 1e9;

  void pass(double nanoseconds) {
    truth += nanoseconds;
    local += nanoseconds * (1 + drift * 1e-9) * (1 + frequency * 1e-9);
  }
  [[nodiscard]] static Time stamp(double at) { return Time(std::llround(at)); }
  /// An exchange whose messages take these times, and the rest of an interval of 125 ms.
  [[nodiscard]] ClockExchange exchange(double forth, double back) {
    ClockExchange made{.sync_sent = stamp(truth)};
    pass(forth);
    made.sync_received = stamp(local);
    pass(1000);
    made.request_sent = stamp(local);
    pass(back);
    made.request_received = stamp(truth);
    return made;
  }
  void apply(const ClockCorrection& correction) {
    local += static_cast<double>(correction.step.count());
    frequency = correction.frequency;
  }
};

TEST(ClockServoTest, RemovesAnOffsetByAStepAndADriftByTheFrequency) {
  TwoClocks clocks{.drift = 40'000, .local = 7e12};
  ClockServo servo;
  for (int i = 0; i < 80; ++i) {
    const auto correction = servo.update(clocks.exchange(500, 500), clocks.frequency);
    ASSERT_TRUE(correction);
    EXPECT_EQ(correction->step != 0ns, i == 0) << i;
    clocks.apply(*correction);
    clocks.pass(125e6);
  }
  EXPECT_NEAR(clocks.local, clocks.truth, 3);
  EXPECT_NEAR(clocks.frequency, -40'000, 20);
  EXPECT_NEAR(servo.offset(), 0, 3);
  EXPECT_NEAR(servo.path_delay(), 500, 2);
  EXPECT_EQ(servo.rejected(), 0u);
}

TEST(ClockServoTest, FollowsAMasterThatJumps) {
  TwoClocks clocks;
  clocks.local = clocks.truth;
  ClockServo servo({.window = 16});
  unsigned steps = 0;
  for (int i = 0; i < 100; ++i) {
    if (i == 40) clocks.truth += 5e9;
    const auto correction = servo.update(clocks.exchange(500, 500), clocks.frequency);
    ASSERT_TRUE(correction);
    if (correction->step != 0ns) ++steps;
    clocks.apply(*correction);
    clocks.pass(125e6);
  }
  EXPECT_GE(steps, 1u);
  EXPECT_NEAR(clocks.local, clocks.truth, 50);
}

// A queue that only frames of one direction wait in makes that direction look longer.
TEST(ClockServoTest, SlowExchangesCountLess) {
  TwoClocks clocks;
  clocks.local = clocks.truth;
  ClockServo servo;
  for (int i = 0; i < 200; ++i) {
    const auto correction = servo.update(clocks.exchange(i % 2 == 0 ? 500 : 20'500, 500), clocks.frequency);
    ASSERT_TRUE(correction);
    clocks.apply(*correction);
    clocks.pass(125e6);
  }
  EXPECT_LT(std::abs(clocks.local - clocks.truth), 2000) << "the mean is 5,000";
}

TEST(ClockServoTest, RejectsStampsThatContradictEachOther) {
  ClockServo servo;
  const ClockExchange good{
      .sync_sent = 1s, .sync_received = 1s + 1us, .request_sent = 1s + 2us, .request_received = 1s + 3us};
  const auto rejected = [&](const ClockExchange& exchange) { return !servo.update(exchange, 0); };
  ClockExchange bad = good;
  bad.request_received = 0s;
  EXPECT_TRUE(rejected(bad)) << "arrived before it was sent";
  bad = good;
  bad.request_sent = 1s;
  EXPECT_TRUE(rejected(bad)) << "the request before the message";
  for (const Time stamp : {Time::max(), Time::min(), Time(-1)}) {
    bad = good;
    bad.sync_sent = stamp;
    EXPECT_TRUE(rejected(bad));
    bad = good;
    bad.request_received = stamp;
    EXPECT_TRUE(rejected(bad));
  }
  EXPECT_TRUE(!servo.update(good, std::numeric_limits<double>::quiet_NaN()));
  EXPECT_EQ(servo.rejected(), 9u);
  EXPECT_FALSE(rejected(good));
  EXPECT_TRUE(rejected(good)) << "time stands still";
  servo.reset();
  EXPECT_FALSE(rejected(good));
}

TEST(ClockServoTest, FrequencyHasALimit) {
  TwoClocks clocks{.drift = 2'000'000, .local = 1e9};
  ClockServo servo({.max_frequency = 1000});
  for (int i = 0; i < 10; ++i) {
    const auto correction = servo.update(clocks.exchange(500, 500), clocks.frequency);
    ASSERT_TRUE(correction);
    EXPECT_LE(std::abs(correction->frequency), 1000);
    clocks.apply(*correction);
    clocks.pass(125e6);
  }
}

TEST(ClockServoTest, WithoutATimeForItAnOffsetIsLeftToTheNextExchange) {
  for (const double local : {1e9, 7e12}) {
    TwoClocks clocks{.local = local};
    ClockServo servo({.slew_time = 0ns});
    const auto correction = servo.update(clocks.exchange(500, 500), 0);
    ASSERT_TRUE(correction);
    EXPECT_EQ(correction->frequency, 0) << local;
  }
}

}  // namespace
}  // namespace pollux
