// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/window.hpp"

#include <gtest/gtest.h>

namespace pollux::tools {
namespace {

using std::chrono::milliseconds;

TEST(Window, IsAlwaysOpenWithoutALimit) { EXPECT_TRUE(Window({}, milliseconds(0)).open(1'000'000, 0)); }

TEST(Window, ClosesAtTheLimitOfFramesInFlight) {
  const Window window(64, milliseconds(0));
  EXPECT_TRUE(window.open(63, 0));
  EXPECT_FALSE(window.open(64, 0));
  EXPECT_TRUE(window.open(64, 1));
}

TEST(Window, GivesUpLostFramesAfterASilentPeriod) {
  Window window(64, milliseconds(0));
  window.update(milliseconds(1), 64, 0);
  window.update(milliseconds(40), 64, 10);
  window.update(milliseconds(41), 74, 10);
  EXPECT_FALSE(window.open(74, 10));
  window.update(milliseconds(80), 74, 10);
  EXPECT_FALSE(window.open(74, 10)) << "a frame arrived 40 ms ago";
  window.update(milliseconds(40) + Window::kLossTimeout + milliseconds(1), 74, 10);
  EXPECT_TRUE(window.open(74, 10));
  EXPECT_FALSE(window.open(74 + 64, 10));
}

TEST(Window, WaitsForTheFirstFramesWhateverTheStartTime) {
  const Duration start = std::chrono::hours(1);
  Window window(64, start);
  window.update(start + milliseconds(1), 64, 0);
  EXPECT_FALSE(window.open(64, 0));
}

TEST(Window, WaitsAgainForFramesThatReplaceLostOnes) {
  Window window(64, milliseconds(0));
  window.update(milliseconds(0), 64, 0);
  const Duration given_up = Window::kLossTimeout + milliseconds(1);
  window.update(given_up, 64, 0);
  window.update(given_up + milliseconds(1), 64 + 64, 0);
  window.update(given_up + Window::kLossTimeout - milliseconds(1), 64 + 64, 0);
  EXPECT_FALSE(window.open(64 + 64, 0));
}

TEST(Window, DoesNotGiveUpWhileFramesArrive) {
  Window window(64, milliseconds(0));
  for (unsigned i = 0; i < 100; ++i) {
    window.update(milliseconds(10 * i), 64 + i, i);
    EXPECT_FALSE(window.open(64 + i, i));
  }
}

}  // namespace
}  // namespace pollux::tools
