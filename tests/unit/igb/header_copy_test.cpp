// SPDX-License-Identifier: BSD-3-Clause
// Headers copied from frames (RxQueueConfig::replicate_headers).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "unit/igb/header_split_fixture.hpp"

namespace pollux::test {
namespace {

namespace reg = hw::igb;
namespace rx = hw::intel::rx;

class HeaderCopy : public HeaderSplit {};

// The chain of each frame is that of a split one, and the frame also lies in one piece.
TEST_F(HeaderCopy, CopiesHeadersIfAsked) {
  fixture_.config.rx.replicate_headers = true;
  start();
  ASSERT_TRUE(fixture_.port.info().limits.replicate_headers);
  EXPECT_TRUE(fixture_.port.config().rx[0].replicate_headers);
  EXPECT_TRUE(fixture_.card.value<reg::SRRCTL>().has(reg::SRRCTL::REPLICATE));
  EXPECT_EQ(fixture_.card.value<reg::SRRCTL>().get(reg::SRRCTL::BSIZEHEADER), 256U / 64);
  for (const SplittableFrame& frame : splittable_frames()) {
    SCOPED_TRACE(frame.name);
    fixture_.inject(frame_of(frame.bytes));
    Burst<32> burst = fixture_.rx_burst();
    ASSERT_EQ(burst.size(), 1U);
    Mbuf& head = burst[0];
    EXPECT_EQ(content(head), frame_of(frame.bytes));
    const auto all = static_cast<std::uint32_t>(frame.bytes.size());
    const auto header = static_cast<std::uint32_t>(frame.header);
    if (header == 0 || header == all) {
      EXPECT_EQ(lengths(head), std::vector{all});
    } else {
      ASSERT_EQ(lengths(head), (std::vector{header, all - header}));
      const std::uint8_t* const whole = head.next()->data() - header;
      EXPECT_TRUE(std::equal(frame.bytes.begin(), frame.bytes.end(), whole)) << "the frame in one piece";
    }
    EXPECT_EQ(head.tailroom() + head.length() < 1024, header != 0) << "the pool of the first mbuf";
  }
  const Frame longer = frame_of(tcp_segment(100));
  EXPECT_EQ(split(longer), (std::vector<std::uint32_t>{54, 100}));
}

TEST_F(HeaderCopy, CopiesHeadersOfJumboFramesAndLeavesLongOnesInTheirFrame) {
  fixture_.config.mtu = 9000;
  fixture_.config.rx.replicate_headers = true;
  start(64);
  EXPECT_EQ(split(frame_of(tcp_segment(8000))), (std::vector<std::uint32_t>{54, 1994, 2048, 2048, 1910}));
  EXPECT_EQ(split(counting_frame(5000)), (std::vector<std::uint32_t>{2048, 2048, 904}));
  const Frame whole = frame_of(tcp_headers_alone());
  EXPECT_EQ(split(whole), std::vector{static_cast<std::uint32_t>(whole.size())});
  Frame jumbo = whole;
  jumbo.resize(3000);
  EXPECT_EQ(split(jumbo), (std::vector<std::uint32_t>{2048, 952}));
  EXPECT_EQ(fixture_.drops("rx_bad_length"), 0U);
}

// A card that lies makes neither the queue read beyond a buffer nor lose one.
TEST_F(HeaderCopy, CountsLengthsOfCopiesThatCannotBeTrue) {
  fixture_.config.rx.replicate_headers = true;
  start();
  constexpr std::uint64_t kEnd = rx::kDone | rx::kEndOfPacket;
  const rx::WriteBack lies[] = {
      {.status = kEnd, .length = 60, .header_length = 61, .split_header = true},    // beyond the frame
      {.status = kEnd, .length = 2049, .header_length = 54, .split_header = true},  // beyond the frame's buffer
  };
  std::uint64_t bad = 0;
  for (const rx::WriteBack& lie : lies) {
    EXPECT_EQ(poll_after(lie), 0U);
    EXPECT_EQ(fixture_.drops("rx_bad_length"), ++bad);
  }
  EXPECT_EQ(poll_after({.status = kEnd, .length = 60, .header_length = 54}), 1U) << "not said to be found";
  EXPECT_EQ(poll_after({.status = kEnd, .length = 600, .header_length = 257, .split_header = true}), 1U)
      << "beyond its buffer: the frame has it, too";
  EXPECT_EQ(split(frame_of(tcp_segment(100))), (std::vector<std::uint32_t>{54, 100}));
}

TEST_F(HeaderCopy, CopiesFromARestartOn) {
  start();
  const Frame frame = frame_of(tcp_segment(100));
  ASSERT_EQ(split(frame).size(), 2U);
  RxQueueConfig wanted = fixture_.config.rx;
  wanted.replicate_headers = true;
  ASSERT_TRUE(fixture_.port.restart_rx(0, wanted));
  EXPECT_TRUE(fixture_.card.value<reg::SRRCTL>().has(reg::SRRCTL::REPLICATE));
  fixture_.inject(frame);
  Burst<32> burst = fixture_.rx_burst();
  ASSERT_EQ(burst.size(), 1U);
  ASSERT_EQ(lengths(burst[0]), (std::vector<std::uint32_t>{54, 100}));
  EXPECT_EQ(burst[0].next()->data()[-54], 0xFF) << "the first byte of the broadcast address";
}

}  // namespace
}  // namespace pollux::test
