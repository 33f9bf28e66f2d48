// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/window.hpp"

#include <gtest/gtest.h>

namespace pollux::examples {
namespace {

using std::chrono::milliseconds;

TEST(Window, IsOpenWithoutABound) { EXPECT_TRUE(Window({}, milliseconds(0)).open(1'000'000, 0)); }

TEST(Window, ClosesWhenAsManyAreOnTheirWayAsItLets) {
  const Window window(64, milliseconds(0));
  EXPECT_TRUE(window.open(63, 0));
  EXPECT_FALSE(window.open(64, 0));
  EXPECT_TRUE(window.open(64, 1));
}

TEST(Window, GivesLostFramesUpWhenNothingHasComeForAWhile) {
  Window window(64, milliseconds(0));
  window.look(milliseconds(1), 64, 0);
  window.look(milliseconds(40), 64, 10);
  window.look(milliseconds(41), 74, 10);
  EXPECT_FALSE(window.open(74, 10));
  window.look(milliseconds(80), 74, 10);
  EXPECT_FALSE(window.open(74, 10)) << "a frame came 40 ms ago";
  window.look(milliseconds(40) + Window::kPatience + milliseconds(1), 74, 10);
  EXPECT_TRUE(window.open(74, 10));
  EXPECT_FALSE(window.open(74 + 64, 10));
}

TEST(Window, WaitsAsLongForTheFirstFramesHoweverOldTheClockIs) {
  const Duration start = std::chrono::hours(1);
  Window window(64, start);
  window.look(start + milliseconds(1), 64, 0);
  EXPECT_FALSE(window.open(64, 0));
}

TEST(Window, WaitsAsLongForWhatReplacesLostFrames) {
  Window window(64, milliseconds(0));
  window.look(milliseconds(0), 64, 0);
  const Duration given_up = Window::kPatience + milliseconds(1);
  window.look(given_up, 64, 0);
  window.look(given_up + milliseconds(1), 64 + 64, 0);
  window.look(given_up + Window::kPatience - milliseconds(1), 64 + 64, 0);
  EXPECT_FALSE(window.open(64 + 64, 0));
}

TEST(Window, DoesNotGiveUpWhileFramesCome) {
  Window window(64, milliseconds(0));
  for (unsigned i = 0; i < 100; ++i) {
    window.look(milliseconds(10 * i), 64 + i, i);
    EXPECT_FALSE(window.open(64 + i, i));
  }
}

}  // namespace
}  // namespace pollux::examples
