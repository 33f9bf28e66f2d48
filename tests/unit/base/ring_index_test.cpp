// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/base/ring_index.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace pollux {
namespace {

using Index8 = BasicRingIndex<std::uint8_t>;

constexpr std::uint32_t kPositions = 256;
constexpr std::uint32_t kLargestRing = 128;

Index8 at(std::uint32_t position) { return Index8(static_cast<std::uint8_t>(position % kPositions)); }

/// A 64-bit position, which does not wrap in these tests: the reference.
struct Wide {
  std::uint64_t position;
  [[nodiscard]] std::uint64_t slot(std::uint64_t slots) const { return position % slots; }
};

TEST(RingIndex, SlotIsThePositionModuloTheRingForEveryRingAndPosition) {
  for (std::uint32_t slots = 1; slots <= kLargestRing; slots *= 2) {
    // The 8-bit index wraps twice. The number of slots divides 256, so the slot is correct before and after a wrap.
    for (std::uint64_t position = 0; position < 3 * kPositions; ++position) {
      const Wide wide{position};
      ASSERT_EQ(at(static_cast<std::uint32_t>(position)).slot(static_cast<std::uint8_t>(slots - 1)), wide.slot(slots))
          << "position " << position << " of " << slots << " slots";
    }
  }
}

TEST(RingIndex, DistanceIsRightForEveryPairThatARingCanHold) {
  for (std::uint64_t earlier = 0; earlier < 2 * kPositions; ++earlier) {
    for (std::uint64_t ahead = 0; ahead < kPositions; ++ahead) {
      const std::uint64_t later = earlier + ahead;
      ASSERT_EQ(at(static_cast<std::uint32_t>(later)).distance_from(at(static_cast<std::uint32_t>(earlier))), ahead)
          << earlier << " to " << later;
    }
  }
}

TEST(RingIndex, AdditionAndSubtractionAgreeWithWiderArithmeticForEveryPair) {
  for (std::uint32_t start = 0; start < kPositions; ++start) {
    for (std::uint32_t step = 0; step < kPositions; ++step) {
      const auto slots = static_cast<std::uint8_t>(step);
      ASSERT_EQ((at(start) + slots).value(), (start + step) % kPositions);
      ASSERT_EQ((at(start) - slots).value(), (start + kPositions - step) % kPositions);
      ASSERT_EQ((at(start) + slots) - slots, at(start));
      Index8 moved = at(start);
      moved += slots;
      ASSERT_EQ(moved, at(start) + slots);
    }
  }
}

TEST(RingIndex, IncrementWrapsToZero) {
  Index8 index;
  for (std::uint32_t count = 1; count <= 2 * kPositions; ++count) {
    ++index;
    ASSERT_EQ(index.value(), count % kPositions);
  }
}

/// Tests a producer and a consumer with every ring size, start position and fill level. A full ring never looks empty,
/// and the two never have the same slot in a partly filled ring.
TEST(RingIndex, FullAndEmptyDifferAtEveryStartAndFill) {
  for (std::uint32_t slots = 1; slots <= kLargestRing; slots *= 2) {
    const auto mask = static_cast<std::uint8_t>(slots - 1);
    for (std::uint32_t start = 0; start < kPositions; ++start) {
      for (std::uint32_t fill = 0; fill <= slots; ++fill) {
        const Index8 consumer = at(start);
        const Index8 producer = consumer + static_cast<std::uint8_t>(fill);
        ASSERT_EQ(producer == consumer, fill == 0);
        ASSERT_EQ(producer.distance_from(consumer) == slots, fill == slots);
        if (fill > 0 && fill < slots) {
          ASSERT_NE(producer.slot(mask), consumer.slot(mask));
        }
      }
    }
  }
}

TEST(RingIndex, ThirtyTwoBitsWrapLikeEight) {
  const RingIndex last(0xFFFFFFFFU);
  const RingIndex next = last + 1;
  EXPECT_EQ(next.value(), 0U);
  EXPECT_EQ((last + 5).distance_from(last), 5U);
  EXPECT_EQ((last + 5).slot(1023), 4U);
  EXPECT_EQ((RingIndex(2) - 3).value(), 0xFFFFFFFFU);
}

TEST(RingIndex, IsUsableAtCompileTime) {
  static_assert((BasicRingIndex<std::uint8_t>(250) + 10).slot(7) == 4);
  static_assert(BasicRingIndex<std::uint16_t>(3).distance_from(BasicRingIndex<std::uint16_t>(65535)) == 4);
  static_assert(sizeof(RingIndex) == 4);
}

}  // namespace
}  // namespace pollux
