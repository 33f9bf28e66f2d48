// SPDX-License-Identifier: BSD-3-Clause
#include "observe/capture/frame_tap.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <vector>

namespace pollux::observe {
namespace {

constexpr auto kIgnore = [](const FrameRecord&) {};

/// Stages a frame whose bytes are all `value`.
bool stage(FrameRing& ring, std::uint32_t index, std::uint32_t bytes, std::uint8_t value) {
  FrameRecord* const record = ring.stage(bytes);
  if (record == nullptr) return false;
  record->index = index;
  record->length = bytes;
  std::memset(record->data(), value, bytes);
  return true;
}

bool is_filled(const FrameRecord& record, std::uint8_t value) {
  for (std::uint32_t i = 0; i < record.captured; ++i) {
    if (record.data()[i] != value) return false;
  }
  return true;
}

TEST(FrameRing, IsEmptyUntilFramesArePublished) {
  FrameRing ring(4096);
  EXPECT_EQ(ring.front(), nullptr);
  ASSERT_TRUE(stage(ring, 0, 60, 1));
  EXPECT_EQ(ring.front(), nullptr);
  ring.publish(1, kIgnore);
  ASSERT_NE(ring.front(), nullptr);
  EXPECT_EQ(ring.front()->captured, 60U);
  EXPECT_TRUE(is_filled(*ring.front(), 1));
  ring.pop();
  EXPECT_EQ(ring.front(), nullptr);
}

TEST(FrameRing, PublishesTheFirstFramesOfABurstAndForgetsTheOthers) {
  FrameRing ring(4096);
  for (const std::uint32_t index : {0U, 2U, 5U}) ASSERT_TRUE(stage(ring, index, 60, static_cast<std::uint8_t>(index)));
  std::vector<std::uint32_t> published;
  ring.publish(5, [&](const FrameRecord& record) { published.push_back(record.index); });
  EXPECT_EQ(published, (std::vector<std::uint32_t>{0, 2}));
  ASSERT_TRUE(stage(ring, 0, 40, 9));
  ring.publish(1, kIgnore);
  std::vector<std::uint32_t> read;
  for (; ring.front() != nullptr; ring.pop()) read.push_back(ring.front()->data()[0]);
  EXPECT_EQ(read, (std::vector<std::uint32_t>{0, 2, 9}));
}

TEST(FrameRing, AFullOneTakesNothingUntilTheReaderReleasesMemory) {
  FrameRing ring(4096);
  std::uint32_t count = 0;
  while (stage(ring, count, 208, 7)) ++count;
  EXPECT_EQ(count, 16U) << "records of 256 bytes";
  ring.publish(count, kIgnore);
  ASSERT_NE(ring.front(), nullptr);
  ring.pop();
  EXPECT_FALSE(stage(ring, 0, 208, 7)) << "the reader may still read what it took";
  ring.release();
  EXPECT_TRUE(stage(ring, 0, 208, 7));
  EXPECT_FALSE(stage(ring, 1, 208, 7));
}

// Records of every length at every position, so that each kind of wrap occurs, with a gap of 16 bytes, too.
TEST(FrameRing, KeepsRecordsWholeAcrossItsEnd) {
  for (std::uint32_t first = 0; first < 2000; first += 7) {
    FrameRing ring(4096);
    std::uint8_t value = 1;
    for (int round = 0; round < 40; ++round) {
      ASSERT_TRUE(stage(ring, 0, (first * 13 + static_cast<std::uint32_t>(round) * 97) % 1900, value));
      ring.publish(1, kIgnore);
      const FrameRecord* const record = ring.front();
      ASSERT_NE(record, nullptr);
      ASSERT_TRUE(is_filled(*record, value));
      ring.pop();
      ring.release();
      ++value;
    }
    EXPECT_EQ(ring.front(), nullptr);
  }
}

TEST(FrameRing, AForgottenFrameBehindTheEndLeavesNothing) {
  FrameRing ring(4096);
  ASSERT_TRUE(stage(ring, 0, 2000, 1));
  ring.publish(1, kIgnore);
  ASSERT_NE(ring.front(), nullptr);
  ring.pop();
  ring.release();
  // 2,048 bytes are left before the end, so this one skips them.
  ASSERT_TRUE(stage(ring, 0, 2000 - 48, 2));
  ring.publish(1, kIgnore);
  ASSERT_NE(ring.front(), nullptr);
  ring.pop();
  ring.release();
  ASSERT_TRUE(stage(ring, 3, 1000, 3));
  ring.publish(3, kIgnore);
  EXPECT_EQ(ring.front(), nullptr);
  ASSERT_TRUE(stage(ring, 0, 500, 4));
  ring.publish(1, kIgnore);
  ASSERT_NE(ring.front(), nullptr);
  EXPECT_TRUE(is_filled(*ring.front(), 4));
}

TEST(FrameRing, RoundsItsSizeUpAndKeepsWithinTheLimits) {
  EXPECT_EQ(FrameRing(1).capacity(), FrameRing::kMinBytes);
  EXPECT_EQ(FrameRing(5000).capacity(), 8192U);
}

}  // namespace
}  // namespace pollux::observe
