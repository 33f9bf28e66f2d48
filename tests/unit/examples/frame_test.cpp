// SPDX-License-Identifier: BSD-3-Clause
#include "common/frame.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "unit/examples/fixture.hpp"

namespace pollux::tools {
namespace {

using examples::Fixture;

using Status = FrameChecker::Status;

constexpr MacAddress kDestination{0x02, 1, 2, 3, 4, 5};
constexpr MacAddress kSource{0x02, 6, 7, 8, 9, 10};
constexpr std::uint64_t kSequence = 0x4567'89AB'CDEF;

/// The one's complement sum over a header with its checksum. It is 0xFFFF if the checksum is correct (RFC 1071).
std::uint32_t header_sum(std::span<const std::uint8_t> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) sum += static_cast<std::uint32_t>(bytes[i] << 8U | bytes[i + 1]);
  while (sum > 0xFFFF) sum = (sum & 0xFFFFU) + (sum >> 16U);
  return sum;
}

class Frame : public testing::Test {
 protected:
  MbufPtr build(std::uint32_t length, std::uint64_t sequence = kSequence, std::uint16_t flow = 0) {
    FrameBuilder builder(length, kDestination, kSource);
    MbufPtr mbuf = fixture_.cache().allocate();
    EXPECT_TRUE(builder.build(*mbuf, fixture_.cache(), sequence, flow));
    EXPECT_EQ(mbuf->packet_length(), length);
    return mbuf;
  }
  static std::uint8_t& byte(Mbuf& mbuf, std::uint32_t at) {
    Mbuf* segment = &mbuf;
    while (at >= segment->length()) {
      at -= segment->length();
      segment = segment->next();
    }
    return segment->data()[at];
  }

  Fixture fixture_{0};
  FrameChecker checker_;
};

TEST_F(Frame, IsIpv4AndUdpWithCorrectLengthsAndChecksum) {
  for (const std::uint32_t length : {60U, 61U, 590U, 1514U, frame::kMaxLength}) {
    const std::vector<std::uint8_t> bytes = make_frame(length, kDestination, kSource);
    ASSERT_EQ(bytes.size(), length);
    EXPECT_EQ(std::memcmp(bytes.data(), kDestination.data(), 6), 0);
    EXPECT_EQ(std::memcmp(&bytes[6], kSource.data(), 6), 0);
    EXPECT_EQ(bytes[12] << 8 | bytes[13], 0x0800);
    EXPECT_EQ(bytes[14], 0x45);
    EXPECT_EQ(bytes[16] << 8 | bytes[17], static_cast<int>(length - 14));
    EXPECT_EQ(bytes[23], 17) << "UDP";
    EXPECT_EQ(header_sum(std::span(bytes).subspan(14, 20)), 0xFFFFU);
    EXPECT_EQ(bytes[38] << 8 | bytes[39], static_cast<int>(length - 34));
  }
}

TEST_F(Frame, IsGoodAtEveryLength) {
  for (const std::uint32_t length : {60U, 61U, 62U, 511U, 557U, 558U, 559U, 566U, 569U, 570U, 1080U, 1514U, 2048U,
                                     2049U, 2094U, 4099U, 9000U, frame::kMaxLength}) {
    const MbufPtr mbuf = build(length);
    const auto result = checker_.check(*mbuf);
    EXPECT_EQ(result.status, Status::good) << length;
    EXPECT_EQ(result.sequence, kSequence) << length;
  }
}

TEST_F(Frame, NamesItsFlowInTheStampAndInTheSource) {
  for (const std::uint32_t length : {60U, 5000U}) {
    for (const std::uint16_t flow : std::initializer_list<std::uint16_t>{7, 255, 0, 128, 256, 40000, 65535}) {
      const MbufPtr mbuf = build(length, kSequence, flow);
      const auto result = checker_.check(*mbuf);
      EXPECT_EQ(result.status, Status::good);
      EXPECT_EQ(result.flow, flow);
      EXPECT_EQ(result.sequence, kSequence);
      EXPECT_EQ(mbuf->data()[28], flow % 256);
      EXPECT_EQ(mbuf->data()[34] << 8 | mbuf->data()[35], 9 + flow / 256);
      EXPECT_EQ(header_sum(mbuf->bytes().subspan(14, 20)), 0xFFFFU);
      byte(*mbuf, frame::kFirstStampAt + 7) ^= 1;  // another flow's number in this flow's frame
      EXPECT_EQ(checker_.check(*mbuf).status, Status::corrupt);
    }
  }
}

TEST_F(Frame, OneBuilderAndOneCheckerChangeBetweenFlowsAndLengths) {
  FrameBuilder small(60, kDestination, kSource);
  FrameBuilder large(5000, kDestination, kSource);
  for (const std::uint16_t flow : std::initializer_list<std::uint16_t>{0, 300, 300, 7, 0}) {
    for (FrameBuilder* const builder : {&small, &large, &small}) {
      const MbufPtr mbuf = fixture_.cache().allocate();
      ASSERT_TRUE(builder->build(*mbuf, fixture_.cache(), 5, flow));
      const auto result = checker_.check(*mbuf);
      EXPECT_EQ(result.status, Status::good);
      EXPECT_EQ(result.flow, flow);
    }
  }
}

TEST_F(Frame, IsAChainIfItDoesNotFitIntoOneBuffer) {
  EXPECT_EQ(build(1514)->segments(), 1U);
  EXPECT_GE(build(9000)->segments(), 5U);
}

TEST_F(Frame, IsGoodWithOtherAddresses) {
  const MbufPtr mbuf = build(60);
  std::memset(mbuf->data(), 0x77, 12);
  EXPECT_EQ(checker_.check(*mbuf).status, Status::good);
}

TEST_F(Frame, IsCorruptIfAnyOtherByteIsChanged) {
  for (const std::uint32_t length : {60U, 1100U, 5000U}) {
    for (std::uint32_t at = frame::kCheckedFrom; at < length; ++at) {
      const MbufPtr mbuf = build(length);
      byte(*mbuf, at) ^= 0x10;
      ASSERT_EQ(checker_.check(*mbuf).status, Status::corrupt) << "byte " << at << " of " << length;
    }
  }
}

TEST_F(Frame, IsCorruptIfItIsTruncatedOrExtended) {
  const MbufPtr cut = build(1514);
  ASSERT_TRUE(cut->trim(1));
  EXPECT_EQ(checker_.check(*cut).status, Status::corrupt);
  const MbufPtr grown = build(1514);
  ASSERT_NE(grown->append(1), nullptr);
  EXPECT_EQ(checker_.check(*grown).status, Status::corrupt);
}

TEST_F(Frame, IsCorruptIfASegmentBelongsToAnotherFrame) {
  const MbufPtr mbuf = build(5000, 1);
  const MbufPtr other = build(5000, 2);
  Mbuf* const second = mbuf->next();
  std::memcpy(second->data(), other->next()->data(), second->length());
  EXPECT_EQ(checker_.check(*mbuf).status, Status::corrupt);
}

TEST_F(Frame, IsForeignIfPktgenDidNotBuildIt) {
  const MbufPtr mbuf = fixture_.cache().allocate();
  std::memset(mbuf->append(60), 0x55, 60);
  EXPECT_EQ(checker_.check(*mbuf).status, Status::foreign);
  const MbufPtr runt = fixture_.cache().allocate();
  std::memset(runt->append(10), 0x55, 10);
  EXPECT_EQ(checker_.check(*runt).status, Status::foreign);
  EXPECT_EQ(checker_.check(*fixture_.cache().allocate()).status, Status::foreign);
}

TEST_F(Frame, IsNotBuiltIfThePoolIsExhausted) {
  std::vector<MbufPtr> all;
  while (MbufPtr mbuf = fixture_.cache().allocate()) all.push_back(std::move(mbuf));
  all.resize(all.size() - 3);  // three buffers are free, five are needed
  const std::uint32_t held = fixture_.pool().stats().in_use();
  {
    FrameBuilder builder(9000, kDestination, kSource);
    const MbufPtr mbuf = fixture_.cache().allocate();
    ASSERT_NE(mbuf, nullptr);
    EXPECT_FALSE(builder.build(*mbuf, fixture_.cache(), 0));
  }
  EXPECT_EQ(fixture_.pool().stats().in_use(), held);
}

}  // namespace
}  // namespace pollux::tools
