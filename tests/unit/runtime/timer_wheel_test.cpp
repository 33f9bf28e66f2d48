// SPDX-License-Identifier: BSD-3-Clause
// The timing wheel against a sorted list of the same timers.
#include "runtime/timer_wheel.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace pollux::test {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::ElementsAre;

class Wheel : public testing::Test {
 protected:
  TimerId add(Time at, int name) {
    return wheel_.add(at, [this, name] { ran_.push_back(name); });
  }
  bool run(Time now) {
    return wheel_.run_due(now, [](const auto& work) { work(); });
  }
  TimerWheel wheel_;
  std::vector<int> ran_;
};

TEST_F(Wheel, TimersRunAtTheirExactTimesInOrder) {
  add(microseconds(5), 1);
  add(Time(5001), 2);
  add(hours(24 * 365 * 200), 3);
  add(Time(4999), 4);
  add(Time(5001), 5);
  add(milliseconds(700), 6);
  EXPECT_EQ(wheel_.next(), Time(4999));
  EXPECT_FALSE(run(Time(4998)));
  EXPECT_TRUE(run(Time(5000)));
  EXPECT_THAT(ran_, ElementsAre(4, 1));
  EXPECT_EQ(wheel_.next(), Time(5001));
  run(Time(5001));
  EXPECT_THAT(ran_, ElementsAre(4, 1, 2, 5));
  EXPECT_EQ(wheel_.next(), milliseconds(700));
  run(hours(24 * 365 * 200) - Time(1));
  EXPECT_THAT(ran_, ElementsAre(4, 1, 2, 5, 6));
  EXPECT_EQ(wheel_.next(), hours(24 * 365 * 200));
  run(hours(24 * 365 * 200));
  EXPECT_THAT(ran_, ElementsAre(4, 1, 2, 5, 6, 3));
  EXPECT_EQ(wheel_.next(), Time::max());
  EXPECT_TRUE(wheel_.empty());
}

TEST_F(Wheel, TheLongestAndThePastAreTimesToo) {
  add(Time::max(), 1);
  add(Time::min(), 2);
  add(Time(-5), 3);
  EXPECT_LE(wheel_.next(), Time::zero());
  run(Time::zero());
  EXPECT_THAT(ran_, ElementsAre(2, 3));
  run(Time::max() - Time(1));
  EXPECT_EQ(ran_.size(), 2U);
  run(Time::max());
  EXPECT_THAT(ran_, ElementsAre(2, 3, 1));
  // The wheel's time does not go back.
  add(Time(7), 4);
  EXPECT_TRUE(run(Time(7)));
}

TEST_F(Wheel, WhatACallbackAddsWaitsAndWhatItCancelsDoesNotRun) {
  TimerId later{};
  int runs = 0;
  wheel_.add(Time(10), [&] {
    ++runs;
    EXPECT_TRUE(wheel_.cancel(later));
    EXPECT_FALSE(wheel_.cancel(later));
    wheel_.add(Time(5), [&] { runs += 10; });
  });
  later = add(Time(11), 1);
  EXPECT_TRUE(run(Time(20)));
  EXPECT_EQ(runs, 1);
  EXPECT_TRUE(run(Time(20)));
  EXPECT_EQ(runs, 11);
  EXPECT_TRUE(ran_.empty());
  EXPECT_TRUE(wheel_.empty());
}

TEST_F(Wheel, AnOldIdCancelsNoOtherTimer) {
  const TimerId first = add(Time(1), 1);
  run(Time(1));
  EXPECT_FALSE(wheel_.cancel(first));
  const TimerId second = add(Time(2), 2);
  EXPECT_EQ(second.index, first.index) << "the entry is used again";
  EXPECT_FALSE(wheel_.cancel(first));
  EXPECT_TRUE(wheel_.cancel(second));
  EXPECT_FALSE(wheel_.cancel(TimerId()));
  EXPECT_FALSE(wheel_.cancel({.index = 0, .generation = 1000}));
  EXPECT_FALSE(run(Time(2)));
}

// A step is as long as the distance of a timer, over all levels of the wheel.
TEST_F(Wheel, RandomTimersAsInASortedList) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937_64 random(seed);
    TimerWheel wheel;
    std::multimap<std::pair<Time, int>, TimerId> expected;
    std::vector<int> ran;
    std::vector<int> due;
    Time now{};
    const auto distance = [&] { return Time(static_cast<Time::rep>(random() >> (2 + random() % 62))); };
    for (int step = 0; step < 300; ++step) {
      switch (random() % 4) {
        case 0:
        case 1: {
          const Time at = now > Time::max() - Time::max() / 4 ? now : now + distance() / 4;
          expected.emplace(std::pair(at, step), wheel.add(at, [&ran, step] { ran.push_back(step); }));
          break;
        }
        case 2:
          if (!expected.empty()) {
            const auto which = std::next(expected.begin(), static_cast<std::ptrdiff_t>(random() % expected.size()));
            ASSERT_TRUE(wheel.cancel(which->second));
            expected.erase(which);
          }
          break;
        default: {
          now = std::min(now + distance() / 16, Time::max() - Time::max() / 4);
          while (!expected.empty() && expected.begin()->first.first <= now) {
            due.push_back(expected.begin()->first.second);
            expected.erase(expected.begin());
          }
          wheel.run_due(now, [](const auto& work) { work(); });
        }
      }
      ASSERT_EQ(ran, due) << "seed " << seed << ", step " << step;
      ASSERT_EQ(wheel.empty(), expected.empty());
      if (!expected.empty()) {
        ASSERT_LE(wheel.next(), expected.begin()->first.first) << "seed " << seed;
      }
    }
  }
}

}  // namespace
}  // namespace pollux::test
