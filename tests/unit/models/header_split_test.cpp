// SPDX-License-Identifier: BSD-3-Clause
// Queues whose frames are split into headers and payload: 82575 manual, table 33; I210 datasheet, A.1. Queues whose
// headers are copied: 82575 manual, 5.3.4.10 and 5.5.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "support/split_frames.hpp"
#include "unit/models/card_fixture.hpp"

namespace pollux::models::igb {
namespace {

namespace rx = intel::rx;
using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kEnd = rx::kDone | rx::kEndOfPacket;

Bytes bytes_of(const std::vector<std::uint8_t>& frame) {
  Bytes bytes(frame.size());
  std::transform(frame.begin(), frame.end(), bytes.begin(), [](std::uint8_t byte) { return std::byte{byte}; });
  return bytes;
}

class CardHeaderSplit : public testing::Test {
 protected:
  static constexpr std::uint64_t kHeaders = TestMemory::kBase + 0x40000;

  void SetUp() override {
    fixture_.link_up();
    fixture_.start_rx();
    fixture_.write<hw::RLPML>(hw::RLPML::LENGTH(9728));
    fixture_.write<hw::RCTL>(fixture_.read<hw::RCTL>().with(hw::RCTL::LPE));
    for (std::uint32_t i = 0; i < CardFixture::kSlots; ++i) arm(i);
    set_types(0x3FE);
  }
  void arm(std::uint32_t slot) {
    fixture_.memory.descriptor(CardFixture::kRxRing, slot) = rx::armed(CardFixture::buffer(slot), header(slot));
  }
  static std::uint64_t header(std::uint32_t slot) { return kHeaders + slot * 1024; }
  void set_types(std::uint32_t types) { fixture_.write<hw::PSRTYPE>(0, hw::PSRTYPE::Value(types)); }
  void use(hw::SRRCTL::Setting type, std::uint32_t units) {
    fixture_.write<hw::SRRCTL>(0, type | hw::SRRCTL::BSIZEPACKET(2) | hw::SRRCTL::BSIZEHEADER(units));
  }
  /// The write-back of the frame's descriptor `number`.
  const intel::Descriptor& slot(std::uint32_t number) {
    return fixture_.memory.descriptor(CardFixture::kRxRing, number);
  }
  /// Expects how slot 0 was written back, and that the buffers hold the frame.
  void expect(const Bytes& frame, std::uint32_t in_header, std::uint32_t reported, bool split, std::uint64_t status) {
    const auto& [low, high] = slot(0);
    EXPECT_EQ(rx::header_length(low), reported);
    EXPECT_EQ((low & rx::kSplitHeader) != 0, split);
    EXPECT_EQ(high & (kEnd | rx::kHeaderOverflow), status);
    const auto payload = static_cast<std::uint32_t>(std::min<std::size_t>(frame.size() - in_header, 2048));
    EXPECT_EQ(rx::length(high), payload);
    Bytes found = fixture_.bytes_at(header(0), in_header);
    const Bytes rest = fixture_.bytes_at(CardFixture::buffer(0), payload);
    found.insert(found.end(), rest.begin(), rest.end());
    EXPECT_TRUE(std::equal(found.begin(), found.end(), frame.begin()));
  }

  CardFixture fixture_;
};

TEST_F(CardHeaderSplit, SplitsEachTypeWhereItsHeadersEnd) {
  use(hw::SRRCTL::SPLIT, 4);
  std::uint32_t number = 0;
  for (const test::SplittableFrame& frame : test::splittable_frames()) {
    SCOPED_TRACE(frame.name);
    fixture_.card.receive(bytes_of(frame.bytes));
    const auto& [low, high] = slot(number++);
    EXPECT_EQ((low & rx::kSplitHeader) != 0, frame.header != 0);
    EXPECT_EQ(rx::header_length(low), frame.header);
    EXPECT_EQ(rx::length(high), frame.bytes.size() - frame.header);
    EXPECT_EQ(high & kEnd, kEnd);
  }
}

TEST_F(CardHeaderSplit, LeavesAFrameWholeWhoseHeadersAreCut) {
  use(hw::SRRCTL::SPLIT, 4);
  const Bytes frame = bytes_of(test::cut_tcp_segment());
  fixture_.card.receive(frame);
  expect(frame, 0, 0, false, kEnd);
}

TEST_F(CardHeaderSplit, SplitsOnlyTheTypesOfThePool) {
  use(hw::SRRCTL::SPLIT, 4);
  const std::vector<test::SplittableFrame> frames = test::splittable_frames();
  std::uint32_t number = 0;
  // The first seven frames are of the types 3, 2, 2, 9, 8, 3 and 1.
  const unsigned types[] = {3, 2, 2, 9, 8, 3, 1};
  for (std::size_t i = 0; i < std::size(types); ++i) {
    SCOPED_TRACE(frames[i].name);
    for (const bool splits : {false, true}) {
      set_types(splits ? 1U << types[i] : ~(1U << types[i]));
      fixture_.card.receive(bytes_of(frames[i].bytes));
      EXPECT_EQ((slot(number).lo & rx::kSplitHeader) != 0, splits);
      number = (number + 1) % CardFixture::kSlots;
      fixture_.write<hw::RDT>(0, hw::RDT::TAIL((number + CardFixture::kSlots - 1) % CardFixture::kSlots));
    }
  }
}

TEST_F(CardHeaderSplit, LeavesFragmentsWholeIfTheyAreNotToBeSplit) {
  use(hw::SRRCTL::SPLIT, 4);
  fixture_.write<hw::RFCTL>(hw::RFCTL::IPFRSP_DIS);
  const test::SplittableFrame fragment = test::splittable_frames()[6];
  ASSERT_EQ(fragment.name, "first fragment of ipv4");
  fixture_.card.receive(bytes_of(fragment.bytes));
  expect(bytes_of(fragment.bytes), 0, 0, false, kEnd);
}

TEST_F(CardHeaderSplit, ReportsHeadersLongerThanTheirBufferAndDoesNotSplit) {
  use(hw::SRRCTL::SPLIT, 1);
  const Bytes frame = bytes_of(test::tcp_headers_alone());
  fixture_.card.receive(frame);
  expect(frame, 0, 114, true, kEnd | rx::kHeaderOverflow);
}

TEST_F(CardHeaderSplit, WritesAFrameOfHeadersAlone) {
  use(hw::SRRCTL::SPLIT, 2);
  const Bytes frame = bytes_of(test::tcp_headers_alone());
  fixture_.card.receive(frame);
  expect(frame, 114, 114, true, kEnd);
  EXPECT_EQ(fixture_.read<hw::RDH>().raw(), 1U);
}

TEST_F(CardHeaderSplit, UsesTheHeaderBufferOfTheFirstDescriptorAlone) {
  use(hw::SRRCTL::SPLIT, 2);
  const Bytes frame = bytes_of(test::tcp_segment(4096 + 100));
  fixture_.card.receive(frame);
  expect(frame, 54, 54, true, rx::kDone);
  for (std::uint32_t later : {1U, 2U}) {
    EXPECT_EQ(slot(later).lo >> rx::kHeaderLengthShift & 0x7FF, 0U);
    EXPECT_EQ(rx::length(slot(later).hi), later == 1 ? 2048U : 100U);
  }
  EXPECT_EQ(slot(2).hi & kEnd, kEnd);
  EXPECT_EQ(fixture_.bytes_at(header(1), 8), Bytes(8));
}

TEST_F(CardHeaderSplit, WaitsForDescriptorsForAllOfTheFrame) {
  fixture_.write<hw::RDT>(0, hw::RDT::TAIL(1));
  use(hw::SRRCTL::SPLIT, 2);
  fixture_.card.receive(bytes_of(test::tcp_segment(2048 + 1)));
  EXPECT_EQ(fixture_.read<hw::RDH>().raw(), 0U);
  fixture_.write<hw::RDT>(0, hw::RDT::TAIL(2));
  EXPECT_EQ(fixture_.read<hw::RDH>().raw(), 2U);
}

TEST_F(CardHeaderSplit, StripsTheTagFromTheHeaders) {
  use(hw::SRRCTL::SPLIT, 2);
  fixture_.write<hw::CTRL>(fixture_.read<hw::CTRL>().with(hw::CTRL::VME));
  const test::SplittableFrame tagged = test::splittable_frames()[5];
  ASSERT_EQ(tagged.name, "tagged udp");
  fixture_.card.receive(bytes_of(tagged.bytes));
  EXPECT_EQ(rx::header_length(slot(0).lo), 42U);
  EXPECT_EQ(rx::length(slot(0).hi), tagged.bytes.size() - 46);
  EXPECT_EQ(rx::vlan(slot(0).hi), 7U);
}

// Linux's igbvf uses this format for large frames.
TEST_F(CardHeaderSplit, AlwaysUsesTheHeaderBufferInTheOtherFormat) {
  use(hw::SRRCTL::SPLIT_ALWAYS, 2);
  const Bytes small = CardFixture::frame(100);
  fixture_.card.receive(small);
  expect(small, 100, 100, false, kEnd);
  const auto receive_again = [this](const Bytes& frame) {
    fixture_.write<hw::RXDCTL>(0, {});
    fixture_.pass(Receive::kEnableTime);
    fixture_.write<hw::RDH>(0, {});
    arm(0);
    fixture_.write<hw::RXDCTL>(0, hw::RXDCTL::ENABLE);
    fixture_.pass(Receive::kEnableTime);
    fixture_.card.receive(frame);
  };
  const Bytes unknown = CardFixture::frame(300);
  receive_again(unknown);
  expect(unknown, 128, 128, false, kEnd);
  const Bytes known = bytes_of(test::tcp_segment(200));
  receive_again(known);
  expect(known, 54, 54, true, kEnd);
  Bytes long_headers = bytes_of(test::tcp_headers_alone());
  long_headers.resize(200);
  use(hw::SRRCTL::SPLIT_ALWAYS, 1);
  receive_again(long_headers);
  expect(long_headers, 64, 114, true, kEnd | rx::kHeaderOverflow);
}

// The copy fills the header buffer, or ends with the frame.
TEST_F(CardHeaderSplit, CopiesTheHeadersOfTheTypesThatItWouldSplit) {
  use(hw::SRRCTL::REPLICATE, 4);
  std::uint32_t number = 0;
  for (const test::SplittableFrame& frame : test::splittable_frames()) {
    SCOPED_TRACE(frame.name);
    const Bytes bytes = bytes_of(frame.bytes);
    fixture_.card.receive(bytes);
    const auto& [low, high] = slot(number);
    EXPECT_EQ((low & rx::kSplitHeader) != 0, frame.header != 0);
    EXPECT_EQ(rx::header_length(low), frame.header);
    EXPECT_EQ(high & (kEnd | rx::kHeaderOverflow), kEnd);
    ASSERT_EQ(rx::length(high), bytes.size());
    EXPECT_EQ(fixture_.bytes_at(CardFixture::buffer(number), bytes.size()), bytes);
    const std::size_t copied = frame.header != 0 ? std::min<std::size_t>(bytes.size(), 256) : 0;
    Bytes copy(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(copied));
    copy.resize(copied + 1);  // and nothing behind it
    EXPECT_EQ(fixture_.bytes_at(header(number), copied + 1), copy);
    ++number;
  }
}

TEST_F(CardHeaderSplit, CopiesTheStartOfHeadersLongerThanTheirBuffer) {
  use(hw::SRRCTL::REPLICATE, 1);
  const Bytes frame = bytes_of(test::tcp_headers_alone());
  fixture_.card.receive(frame);
  const auto& [low, high] = slot(0);
  EXPECT_EQ(rx::header_length(low), 114U);
  EXPECT_EQ(high & (kEnd | rx::kHeaderOverflow), kEnd | rx::kHeaderOverflow);
  EXPECT_EQ(fixture_.bytes_at(CardFixture::buffer(0), frame.size()), frame);
  EXPECT_EQ(fixture_.bytes_at(header(0), 64), Bytes(frame.begin(), frame.begin() + 64));
  EXPECT_EQ(fixture_.bytes_at(header(0) + 64, 8), Bytes(8));
}

TEST_F(CardHeaderSplit, CopiesHeadersOfTheFirstDescriptorAlone) {
  use(hw::SRRCTL::REPLICATE, 1);
  fixture_.card.receive(bytes_of(test::tcp_segment(2048)));
  EXPECT_EQ(rx::length(slot(0).hi), 2048U);
  EXPECT_EQ(rx::header_length(slot(0).lo), 54U);
  EXPECT_EQ(rx::length(slot(1).hi), 54U);
  EXPECT_EQ(slot(1).lo & rx::kSplitHeader, 0U);
  EXPECT_EQ(fixture_.bytes_at(header(1), 8), Bytes(8));
}

// PKT_LEN is that of the frame although the packet buffer has none of it: 82575 manual, 5.3.4.10.
TEST_F(CardHeaderSplit, WritesShortFramesToTheHeaderBufferAloneInTheLastFormat) {
  use(hw::SRRCTL::REPLICATE_LARGE, 2);
  const Bytes brief = bytes_of(test::tcp_segment(74));
  const Bytes longer = bytes_of(test::tcp_segment(75));
  const Bytes unknown = CardFixture::frame(100);
  for (const Bytes& frame : {brief, longer, unknown}) fixture_.card.receive(frame);
  ASSERT_EQ(brief.size(), 128U);
  EXPECT_EQ(rx::length(slot(0).hi), 128U);
  EXPECT_NE(slot(0).lo & rx::kSplitHeader, 0U);
  EXPECT_EQ(fixture_.bytes_at(header(0), 128), brief);
  EXPECT_EQ(fixture_.bytes_at(CardFixture::buffer(0), 8), Bytes(8));
  EXPECT_EQ(rx::length(slot(1).hi), 129U);
  EXPECT_EQ(fixture_.bytes_at(CardFixture::buffer(1), 129), longer);
  EXPECT_EQ(fixture_.bytes_at(header(1), 128), Bytes(longer.begin(), longer.begin() + 128));
  EXPECT_EQ(fixture_.bytes_at(CardFixture::buffer(2), 100), unknown);
}

TEST_F(CardHeaderSplit, StopsIfADescriptorCannotBeRead) {
  use(hw::SRRCTL::SPLIT, 2);
  fixture_.write<hw::RDBAH>(0, hw::RDBAH::Value(1));
  fixture_.card.receive(bytes_of(test::tcp_segment(100)));
  EXPECT_EQ(fixture_.card.receiver().losses().queue_broken, 1U);
  EXPECT_EQ(fixture_.read<hw::RDH>().raw(), 0U);
}

}  // namespace
}  // namespace pollux::models::igb
