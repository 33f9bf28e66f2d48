// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/pacer.hpp"

#include <gtest/gtest.h>

namespace pollux::examples {
namespace {

constexpr double kTicks = 1e9;

TEST(Pacer, GrantsEverythingWithoutARate) {
  Pacer pacer(0, kTicks, 128);
  EXPECT_EQ(pacer.grant(5, 32), 32U);
  EXPECT_EQ(pacer.grant(5, 32), 32U);
}

TEST(Pacer, GrantsOneFrameAtFirst) {
  Pacer pacer(1000, kTicks, 128);
  EXPECT_EQ(pacer.grant(77, 32), 1U);
  EXPECT_EQ(pacer.grant(77, 32), 0U);
}

TEST(Pacer, KeepsTheAverageRate) {
  Pacer pacer(1e6, kTicks, 128);
  std::uint64_t granted = 0;
  for (std::uint64_t now = 1; now <= 1'000'000'000; now += 1717) granted += pacer.grant(now, 32);
  EXPECT_NEAR(static_cast<double>(granted), 1e6, 10);
}

TEST(Pacer, CatchesUpAfterAShortPause) {
  Pacer pacer(1e6, kTicks, 128);
  EXPECT_EQ(pacer.grant(1, 32), 1U);
  EXPECT_EQ(pacer.grant(100'001, 512), 100U);
}

TEST(Pacer, LimitsTheBurstAfterALongPause) {
  Pacer pacer(1e6, kTicks, 128);
  EXPECT_EQ(pacer.grant(1, 32), 1U);
  EXPECT_EQ(pacer.grant(1'000'000'000, 512), 128U);
  EXPECT_EQ(pacer.grant(1'000'000'000, 512), 0U);
}

TEST(Pacer, KeepsUnusedCredit) {
  Pacer pacer(1e6, kTicks, 128);
  EXPECT_EQ(pacer.grant(1, 32), 1U);
  EXPECT_EQ(pacer.grant(50'001, 32), 32U);
  EXPECT_EQ(pacer.grant(50'001, 32), 18U);
}

}  // namespace
}  // namespace pollux::examples
