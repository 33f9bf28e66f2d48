// SPDX-License-Identifier: BSD-3-Clause
// The card's clock: its rate, its range, wraps of the counter, and resets.
#include "pollux/net/port_clock.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>

#include "pollux/open.hpp"
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

namespace reg = hw::igb;
using namespace std::chrono_literals;

constexpr Duration kTick = 16ns;

class PortClockTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(tune(0), 0.0); }
  [[nodiscard]] Time now() {
    const auto time = fixture_.port.capability<PortClock>()->time();
    EXPECT_TRUE(time) << time.error().message();
    return time ? *time : Time(-1);
  }
  [[nodiscard]] Result<void> set(Time time) { return fixture_.port.capability<PortClock>()->set_time(time); }
  [[nodiscard]] Result<double> tune(double ppb) { return test::run_clock(fixture_.port, ppb); }
  void expect_near(Duration seen, Duration expected, Duration error = 2 * kTick) {
    EXPECT_LE(std::abs((seen - expected).count()), error.count()) << seen.count() << " and " << expected.count();
  }
  /// Sets the card's counter, as if it had run for long.
  void set_counter(std::uint64_t value) {
    fixture_.card.with([&](models::igb::Card& card) {
      card.write32(reg::kRegisterBar, reg::SYSTIML::offset(), static_cast<std::uint32_t>(value));
      card.write32(reg::kRegisterBar, reg::SYSTIMH::offset(), static_cast<std::uint32_t>(value >> 32));
      return 0;
    });
  }

  CardFixture fixture_;
};

TEST(PortClockAtFirst, DoesNotRunUntilItsFrequencyIsSet) {
  CardFixture fixture;
  const auto clock = fixture.port.capability<PortClock>();
  EXPECT_EQ(fixture.card.value<reg::TIMINCA>().raw(), 0u);
  const auto set = clock->set_time(1s);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, ErrorCode::bad_state);
  EXPECT_NE(set.error().hint.find("clock_frequency"), std::string::npos);
  EXPECT_EQ(clock->adjust_time(1s).error().code, ErrorCode::bad_state);
  EXPECT_EQ(clock->time().error().code, ErrorCode::bad_state);
  ASSERT_EQ(test::run_clock(fixture.port), 0.0);
  EXPECT_EQ(clock->time().value(), 0ns);
  EXPECT_EQ(fixture.card.value<reg::TIMINCA>(),
            reg::TIMINCA::Value(reg::TIMINCA::PERIOD(1) | reg::TIMINCA::VALUE(16U << 19)));
  EXPECT_TRUE(fixture.port.change([](Settings& settings) { settings.clock_frequency = {}; }));
  EXPECT_EQ(fixture.port.settings().clock_frequency, 0.0) << "it goes on";
}

TEST_F(PortClockTest, IsSetAndAdjusted) {
  constexpr Time kToday = 1'800'000'000s;
  ASSERT_TRUE(set(kToday));
  fixture_.clock->advance(250us);
  expect_near(now(), kToday + 250us);
  const Time before = now();
  ASSERT_TRUE(fixture_.port.capability<PortClock>()->adjust_time(-1s));
  EXPECT_EQ(now(), before - 1s) << "exactly";
  ASSERT_TRUE(fixture_.port.capability<PortClock>()->adjust_time(3ns));
  EXPECT_EQ(now(), before - 1s + 3ns);
}

TEST_F(PortClockTest, RefusesWhatItCannotHold) {
  ASSERT_TRUE(set(5s));
  const auto refused = [](const auto& result) { return !result && result.error().code == ErrorCode::invalid_argument; };
  EXPECT_TRUE(refused(set(-1ns)));
  EXPECT_TRUE(refused(set(Time::max())));
  EXPECT_TRUE(refused(fixture_.port.capability<PortClock>()->adjust_time(-6s)));
  EXPECT_TRUE(refused(fixture_.port.capability<PortClock>()->adjust_time(Duration::min())));
  EXPECT_TRUE(refused(fixture_.port.capability<PortClock>()->adjust_time(Duration::max())));
  const double highest = fixture_.port.info().limits.clock.max_frequency;
  EXPECT_TRUE(refused(tune(highest + 1)));
  EXPECT_TRUE(refused(tune(-highest - 1)));
  EXPECT_TRUE(refused(tune(std::numeric_limits<double>::quiet_NaN())));
  expect_near(now(), 5s);
  EXPECT_EQ(fixture_.port.settings().clock_frequency, 0.0);
}

TEST_F(PortClockTest, RunsAtTheFrequencyThatItReports) {
  const PortClockLimits limits = fixture_.port.info().limits.clock;
  EXPECT_NEAR(limits.max_frequency, 999'999'881, 1) << "Linux, igb_ptp.c: max_adj";
  EXPECT_NEAR(limits.frequency_step, 119.2, 0.01) << "1 in 2^23";
  for (const double ppb : {0.0, 100.0, -100.0, 50'000.0, -200'000.0, limits.max_frequency, -limits.max_frequency}) {
    const auto in_force = tune(ppb);
    ASSERT_TRUE(in_force);
    EXPECT_LE(std::abs(*in_force - ppb), limits.frequency_step / 2 + 1e-6) << ppb;
    EXPECT_EQ(fixture_.port.settings().clock_frequency, *in_force);
    const Time before = now();
    fixture_.clock->advance(10s);
    expect_near(now() - before, Duration(std::llround(1e10 * (1 + *in_force * 1e-9))), 3 * kTick);
  }
}

// 2^45 ns, which is 9.7 hours.
TEST_F(PortClockTest, GoesOnWhenTheCounterWraps) {
  set_counter(~std::uint64_t{0} - (std::uint64_t{1} << 32));
  const Time before = now();
  fixture_.clock->advance(1s);
  expect_near(now() - before, 1s);
  EXPECT_LT(fixture_.card.value<reg::SYSTIMH>().raw(), 1u << 20) << "it has wrapped";
  Time last = now();
  for (int i = 0; i < 30; ++i) {
    fixture_.clock->advance(1h);
    ASSERT_TRUE(fixture_.port.service());
    EXPECT_GT(now(), last);
    last = now();
  }
  expect_near(last - before, 30h + 1s);
}

// The low half wraps every 8 ms.
TEST_F(PortClockTest, IsReadWholeWhileTheLowHalfWraps) {
  Time last = now();
  for (int i = 0; i < 2000; ++i) {
    set_counter((std::uint64_t{7} << 32) - 200 * (std::uint64_t{16} << hw::igb::ClockTraits{}.shift));
    const Time start = now();
    fixture_.clock->advance(Duration(i * 4));
    expect_near(now() - start, Duration(i * 4));
  }
  EXPECT_GE(now(), last);
}

TEST_F(PortClockTest, TimeAndFrequencyOutliveAReset) {
  const auto in_force = tune(1'000'000);
  ASSERT_TRUE(in_force);
  ASSERT_TRUE(set(1000s));
  const Time set_at = fixture_.clock->now();
  ASSERT_TRUE(fixture_.port.stop());
  fixture_.clock->advance(1s);
  const Duration since = fixture_.clock->now() - set_at;
  expect_near(now(), 1000s + since + Duration(std::llround(static_cast<double>(since.count()) * *in_force * 1e-9)));
  const Time before = now();
  const Time host = fixture_.clock->now();
  ASSERT_TRUE(fixture_.port.start());
  // While the card is reset, the Context's clock gives the time.
  expect_near(now() - before, fixture_.clock->now() - host, 200us);
  EXPECT_EQ(fixture_.port.settings().clock_frequency, *in_force);
  const Time started = now();
  fixture_.clock->advance(1s);
  expect_near(now() - started, 1s + 1ms, 100ns);
}

TEST_F(PortClockTest, ARemovedCardHasNoTime) {
  ASSERT_TRUE(set(1s));
  fixture_.card.set_removed(true);
  const auto time = fixture_.port.capability<PortClock>()->time();
  ASSERT_FALSE(time);
  EXPECT_EQ(time.error().code, ErrorCode::device_removed);
  fixture_.card.set_removed(false);
}

TEST_F(PortClockTest, AClosedPortHasNoTime) {
  ASSERT_TRUE(fixture_.port.close());
  if (const auto clock = fixture_.port.capability<PortClock>()) {
    EXPECT_EQ(clock->time().error().code, ErrorCode::bad_state);
    EXPECT_EQ(tune(1).error().code, ErrorCode::bad_state);
  }
}

}  // namespace
}  // namespace pollux::test
