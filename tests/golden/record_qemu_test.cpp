// SPDX-License-Identifier: BSD-3-Clause
// Records a card that runs in another process and in real time. The recorder must not miss what the card does between
// two polls.
#include <gtest/gtest.h>

#include <memory>

#include "pollux/base/clock.hpp"
#include "unit/trace/record_fixture.hpp"

namespace pollux::test {
namespace {

using RecordQemuTest = RecordTest;

TEST_F(RecordQemuTest, AReplayDeliversTheSameFramesWithoutQemu) {
  const Observation recorded = record(
      {.recorded = "qtest:0", .link_partner = "qtest:1", .clock = std::make_shared<SteadyClock>(), .wrap = nullptr});
  EXPECT_GT(recorded.frames.size(), 100u);
  EXPECT_EQ(recorded.stop_error, "");
  const Observation replayed = replay();
  EXPECT_EQ(progress_->divergence(), "");
  EXPECT_TRUE(progress_->at_end());
  EXPECT_EQ(replayed.frames.size(), recorded.frames.size());
  EXPECT_TRUE(replayed.frames == recorded.frames) << "byte for byte";
  EXPECT_TRUE(replayed.words == recorded.words);
  EXPECT_EQ(replayed.counters, recorded.counters);
}

}  // namespace
}  // namespace pollux::test
