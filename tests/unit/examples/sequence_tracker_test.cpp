// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/sequence_tracker.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <random>
#include <set>
#include <vector>

namespace pollux::tools {
namespace {

SequenceTracker after(std::initializer_list<std::uint64_t> sequences) {
  SequenceTracker tracker;
  for (const std::uint64_t sequence : sequences) tracker.observe(sequence);
  return tracker;
}

TEST(SequenceTracker, ReportsNothingWithoutFrames) {
  const SequenceTracker tracker;
  EXPECT_EQ(tracker.missing(), 0U);
  EXPECT_EQ(tracker.unique(), 0U);
  EXPECT_EQ(tracker.duplicated(), 0U);
  EXPECT_EQ(tracker.reordered(), 0U);
}

TEST(SequenceTracker, ReportsNothingForFramesInOrder) {
  const SequenceTracker tracker = after({0, 1, 2, 3});
  EXPECT_EQ(tracker.unique(), 4U);
  EXPECT_EQ(tracker.missing(), 0U);
  EXPECT_EQ(tracker.duplicated(), 0U);
  EXPECT_EQ(tracker.reordered(), 0U);
}

TEST(SequenceTracker, StartsAtTheFirstSequence) { EXPECT_EQ(after({1000, 1001}).missing(), 0U); }

TEST(SequenceTracker, CountsGapsAsMissing) { EXPECT_EQ(after({0, 1, 5, 6, 9}).missing(), 5U); }

TEST(SequenceTracker, CountsDuplicates) {
  const SequenceTracker tracker = after({0, 1, 1, 2, 0});
  EXPECT_EQ(tracker.duplicated(), 2U);
  EXPECT_EQ(tracker.unique(), 3U);
  EXPECT_EQ(tracker.missing(), 0U);
}

TEST(SequenceTracker, CountsALateFrameAsReorderedAndNotAsMissing) {
  const SequenceTracker tracker = after({0, 2, 1, 3});
  EXPECT_EQ(tracker.reordered(), 1U);
  EXPECT_EQ(tracker.missing(), 0U);
}

TEST(SequenceTracker, ALateFrameCanBecomeTheFirst) {
  const SequenceTracker tracker = after({7, 5, 8});
  EXPECT_EQ(tracker.first(), 5U);
  EXPECT_EQ(tracker.missing(), 1U);
}

TEST(SequenceTracker, ForgetsSequencesBeforeTheWindow) {
  constexpr std::uint64_t kWindow = SequenceTracker::kWindow;
  const SequenceTracker tracker = after({0, 1, 2, kWindow + 5, kWindow + 1, kWindow + 2});
  EXPECT_EQ(tracker.duplicated(), 0U);
  EXPECT_EQ(tracker.reordered(), 2U);
}

TEST(SequenceTracker, ForgetsSequencesAlsoIfTheWindowMovesInSmallSteps) {
  constexpr std::uint64_t kWindow = SequenceTracker::kWindow;
  const SequenceTracker tracker = after({0, 1, 2, kWindow / 2, kWindow + 5, kWindow + 1});
  EXPECT_EQ(tracker.duplicated(), 0U);
  EXPECT_EQ(tracker.reordered(), 1U);
}

TEST(SequenceTracker, CountsASequenceBeforeTheWindowAsADuplicate) {
  EXPECT_EQ(after({0, SequenceTracker::kWindow, 1, 0}).duplicated(), 1U);
  EXPECT_EQ(after({0, SequenceTracker::kWindow, 1, 0}).reordered(), 1U);
}

TEST(SequenceTracker, HandlesTheFirstAndTheLastSequence) {
  const SequenceTracker tracker = after({0, UINT64_MAX, UINT64_MAX - 1, 0});
  EXPECT_EQ(tracker.duplicated(), 1U);
  EXPECT_EQ(tracker.reordered(), 1U);
}

TEST(FlowSequences, ForgetsEarlierTheNumbersOfFlowsBeyondTheFirst) {
  constexpr std::uint64_t kNarrow = FlowSequences::kNarrowWindow;
  FlowSequences sequences;
  for (std::uint16_t flow = 0; flow <= FlowSequences::kWideFlows; ++flow) {
    for (const std::uint64_t sequence : {std::uint64_t{0}, kNarrow, std::uint64_t{1}})
      sequences.observe(flow, sequence);
  }
  EXPECT_EQ(sequences.count(), FlowSequences::kWideFlows + 1);
  EXPECT_EQ(sequences.reordered(), FlowSequences::kWideFlows + 1) << "number 1 is still inside each window";
  for (const std::uint16_t flow : {std::uint16_t{0}, std::uint16_t{FlowSequences::kWideFlows}})
    sequences.observe(flow, 0);
  EXPECT_EQ(sequences.duplicated(), 2U);
  sequences.observe(0, kNarrow + 5);
  sequences.observe(0, 2);
  EXPECT_EQ(sequences.duplicated(), 2U) << "flow 0 has a wide window";
  sequences.observe(FlowSequences::kWideFlows, kNarrow + 5);
  sequences.observe(FlowSequences::kWideFlows, 2);
  EXPECT_EQ(sequences.duplicated(), 3U) << "number 2 is before the narrow window";
  sequences.observe(UINT16_MAX, 7);
  EXPECT_EQ(sequences.flow(UINT16_MAX)->first(), 7U);
}

TEST(SequenceTracker, AgreesWithASetOnRandomStreams) {
  std::mt19937_64 random(82576);
  for (int round = 0; round < 50; ++round) {
    SequenceTracker tracker;
    std::set<std::uint64_t> seen;
    std::uint64_t duplicates = 0;
    std::uint64_t late = 0;
    std::uint64_t front = random() % 1000;
    for (int i = 0; i < 2000; ++i) {
      const std::uint64_t sequence = front + random() % 60 - std::min<std::uint64_t>(front, random() % 60);
      const bool is_late = !seen.empty() && sequence < *seen.rbegin();
      if (!seen.insert(sequence).second) {
        ++duplicates;
      } else if (is_late) {
        ++late;
      }
      tracker.observe(sequence);
      front += random() % 3;
    }
    ASSERT_EQ(tracker.unique(), seen.size());
    ASSERT_EQ(tracker.duplicated(), duplicates);
    ASSERT_EQ(tracker.reordered(), late);
    ASSERT_EQ(tracker.missing(), *seen.rbegin() - *seen.begin() + 1 - seen.size());
  }
}

}  // namespace
}  // namespace pollux::tools
