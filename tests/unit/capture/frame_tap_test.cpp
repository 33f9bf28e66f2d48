// SPDX-License-Identifier: BSD-3-Clause
#include "observe/capture/frame_tap.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "support/fixture.hpp"

namespace pollux::observe {
namespace {

using test::CardFixture;
using test::counting_frame;

struct FrameTapTest : testing::Test {
  CardFixture fixture{{.start = false}};
  TapSettings settings{.snaplen = 2000, .ring_bytes = 8192};

  /// Stages `count` frames of 400 bytes, of which the ring takes 18, as a burst that begins with that index.
  void stage(FrameTap& tap, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      const MbufPtr mbuf = fixture.make_mbuf(counting_frame(400, i));
      tap.stage(*mbuf, i, Time(i), WireTags{});
    }
  }
  static WireTags vlan_tag(std::uint16_t tag) {
    WireTags tags;
    tags.add(0x8100, tag);
    return tags;
  }
  static std::vector<std::uint32_t> read_lost(FrameTap& tap) {
    std::vector<std::uint32_t> lost;
    for (; tap.ring().front() != nullptr; tap.ring().pop()) lost.push_back(tap.ring().front()->lost);
    tap.ring().release();
    return lost;
  }
};

TEST_F(FrameTapTest, CountsWhatFindsNoRoomAndSaysSoInTheNextRecord) {
  FrameTap tap(settings);
  stage(tap, 25);
  tap.publish(25);
  const CaptureCounts counts = tap.counts();
  EXPECT_EQ(counts.seen, 25U);
  EXPECT_EQ(counts.captured, 18U);
  EXPECT_EQ(counts.lost, 7U);
  EXPECT_EQ(read_lost(tap), std::vector<std::uint32_t>(18, 0));
  stage(tap, 2);
  tap.publish(2);
  EXPECT_EQ(read_lost(tap), (std::vector<std::uint32_t>{7, 0}));
  stage(tap, 2);
  tap.publish(1);  // a record that is forgotten does not bring back what was reported
  stage(tap, 1);
  tap.publish(1);
  EXPECT_EQ(read_lost(tap), (std::vector<std::uint32_t>{0, 0}));
}

TEST_F(FrameTapTest, FramesThatAQueueDidNotTakeAreNeitherCapturedNorLost) {
  FrameTap tap(settings);
  stage(tap, 25);
  tap.publish(20);  // two were lost of those that it took
  EXPECT_EQ(tap.counts().seen, 20U);
  EXPECT_EQ(tap.counts().captured, 18U);
  EXPECT_EQ(tap.counts().lost, 2U);
  EXPECT_EQ(read_lost(tap).size(), 18U);
  stage(tap, 3);
  tap.publish(0);  // the record that reports the two was forgotten
  EXPECT_EQ(tap.counts().captured, 18U);
  stage(tap, 3);
  tap.publish(2);
  EXPECT_EQ(read_lost(tap), (std::vector<std::uint32_t>{2, 0}));
  EXPECT_EQ(tap.counts().seen, 22U);
  EXPECT_EQ(tap.counts().captured, 20U);
  EXPECT_EQ(tap.counts().lost, 2U);
}

TEST_F(FrameTapTest, CollectsTheBytesOfSegments) {
  FrameTap tap(settings);
  const test::Frame frame = counting_frame(1500, 3);
  const MbufPtr mbuf = fixture.make_mbuf(frame, 300);
  ASSERT_EQ(mbuf->segments(), 5U);
  tap.stage(*mbuf, 0, Time(5), WireTags{});
  tap.publish(1);
  const FrameRecord* const record = tap.ring().front();
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->captured, 1500U);
  EXPECT_EQ(record->length, 1500U);
  EXPECT_EQ(record->time, 5);
  EXPECT_EQ(std::memcmp(record->data(), frame.data(), frame.size()), 0);
}

TEST_F(FrameTapTest, CopiesTheFirstBytesOnly) {
  settings.snaplen = 96;
  FrameTap tap(settings);
  for (const std::size_t segment : {2048U, 50U}) {
    const MbufPtr mbuf = fixture.make_mbuf(counting_frame(1500), segment);
    tap.stage(*mbuf, 0, Time(0), WireTags{});
    tap.publish(1);
    ASSERT_NE(tap.ring().front(), nullptr);
    EXPECT_EQ(tap.ring().front()->captured, 96U);
    EXPECT_EQ(tap.ring().front()->length, 1500U);
    tap.ring().pop();
  }
}

TEST_F(FrameTapTest, PutsATagThatTheCardRemovedBackBeforeTheFilterLooks) {
  auto filter = FrameFilter::compile("vlan 291 and ether proto 0x88b5", "test");
  ASSERT_TRUE(filter);
  settings.filter = *std::move(filter);
  FrameTap tap(settings);
  const MbufPtr mbuf = fixture.make_mbuf(counting_frame(60));
  tap.stage(*mbuf, 0, Time(0), vlan_tag(0x2123));
  tap.stage(*mbuf, 1, Time(0), WireTags{});
  tap.stage(*mbuf, 2, Time(0), vlan_tag(0x0124));
  tap.publish(3);
  EXPECT_EQ(tap.counts().captured, 1U);
  const FrameRecord* const record = tap.ring().front();
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->captured, 64U);
  EXPECT_EQ(record->length, 64U);
  const std::vector<std::uint8_t> tagged(record->data() + 10, record->data() + 18);
  EXPECT_EQ(tagged, (std::vector<std::uint8_t>{10, 11, 0x81, 0x00, 0x21, 0x23, 0x88, 0xB5}));
}

TEST_F(FrameTapTest, TheFilterSeesMoreThanIsCopied) {
  settings.snaplen = 20;
  auto filter = FrameFilter::compile("ether[200] = 200", "test");
  ASSERT_TRUE(filter);
  settings.filter = *std::move(filter);
  FrameTap tap(settings);
  for (const std::size_t segment : {2048U, 64U}) {
    const MbufPtr mbuf = fixture.make_mbuf(counting_frame(300), segment);
    tap.stage(*mbuf, 0, Time(0), WireTags{});
    tap.publish(1);
  }
  EXPECT_EQ(tap.counts().captured, 2U);
  EXPECT_EQ(tap.ring().front()->captured, 20U);
}

TEST_F(FrameTapTest, KeepsTheStampOfTheCard) {
  FrameTap tap(settings);
  const MbufPtr mbuf = fixture.make_mbuf(counting_frame(60));
  mbuf->set_timestamp(123'456);
  tap.stage(*mbuf, 0, Time(0), WireTags{});
  tap.publish(1);
  EXPECT_EQ(tap.ring().front()->stamp, 123'456U);
}

}  // namespace
}  // namespace pollux::observe
