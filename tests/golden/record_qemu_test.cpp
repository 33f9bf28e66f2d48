// SPDX-License-Identifier: BSD-3-Clause
// A card that works on its own time, in another process: the recorder must not miss what it does between two looks.
#include <gtest/gtest.h>

#include <memory>

#include "pollux/base/clock.hpp"
#include "unit/trace/record_fixture.hpp"

namespace pollux::test {
namespace {

using RecordQemuTest = RecordTest;

TEST_F(RecordQemuTest, AReplayDeliversTheSameFramesWithoutQemu) {
  const Seen recorded =
      record({.near = "qtest:0", .far = "qtest:1", .clock = std::make_shared<SteadyClock>(), .around = nullptr});
  EXPECT_GT(recorded.frames.size(), 100u);
  EXPECT_EQ(recorded.stopped, "");
  const Seen replayed = replay();
  EXPECT_EQ(progress_->divergence(), "");
  EXPECT_TRUE(progress_->at_end());
  EXPECT_EQ(replayed.frames.size(), recorded.frames.size());
  EXPECT_TRUE(replayed.frames == recorded.frames) << "byte for byte";
  EXPECT_TRUE(replayed.words == recorded.words);
  EXPECT_EQ(replayed.counters, recorded.counters);
}

}  // namespace
}  // namespace pollux::test
