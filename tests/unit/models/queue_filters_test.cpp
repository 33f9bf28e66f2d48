// SPDX-License-Identifier: BSD-3-Clause
// Five-tuple and SYN filters: each field, which filter decides, and what they ignore.
#include <gtest/gtest.h>

#include "unit/models/card_fixture.hpp"

namespace pollux::models::igb {
namespace {

constexpr unsigned kTcp = 6, kUdp = 17, kSctp = 132, kIcmp = 1;

/// From 10.1.2.3, port 0x1234, to 10.9.8.7, port 0x5678.
std::vector<std::byte> tuple_frame(unsigned protocol, unsigned tcp_flags = 0) {
  auto frame = CardFixture::frame(80);
  std::size_t at = 12;
  for (const unsigned byte : {0x08U, 0U,  0x45U, 0U, 0U, 66U, 0U, 0U, 0U, 0U,    64U,   protocol, 0U,
                              0U,    10U, 1U,    2U, 3U, 10U, 9U, 8U, 7U, 0x12U, 0x34U, 0x56U,    0x78U}) {
    frame[at++] = static_cast<std::byte>(byte);
  }
  if (protocol == kTcp) frame[34 + 12] = std::byte{0x50};
  if (protocol == kTcp) frame[34 + 13] = static_cast<std::byte>(tcp_flags);
  if (protocol == kUdp) frame[38] = std::byte{0};
  if (protocol == kUdp) frame[39] = std::byte{46};
  return frame;
}

class CardQueueFilters : public testing::Test {
 protected:
  void SetUp() override {
    fixture.link_up();
    for (std::uint32_t queue = 0; queue < 8; ++queue) fixture.start_rx(queue);
    for (std::uint32_t i = 0; i < hw::IMIREXT::kCount; ++i) {
      fixture.write<hw::IMIREXT>(i, hw::IMIREXT::SIZE_BP | hw::IMIREXT::CTRL_BP);
    }
  }
  /// A filter that compares nothing but what `compared` clears.
  void set(std::uint32_t index, std::uint32_t queue, std::uint32_t protocol, hw::FTQF::Setting bypass,
           std::uint32_t priority = 0) {
    fixture.write<hw::SAQF>(index, hw::SAQF::Value(0x0302010A));
    fixture.write<hw::DAQF>(index, hw::DAQF::Value(0x0708090A));
    fixture.write<hw::SPQF>(index, hw::SPQF::PORT(0x3412));
    fixture.write<hw::IMIR>(index, hw::IMIR::PORT(0x7856) | hw::IMIR::PRIORITY(priority));
    fixture.write<hw::FTQF>(index, hw::FTQF::PROTOCOL(protocol) | hw::FTQF::QUEUE(queue) | hw::FTQF::QUEUE_ENABLE |
                                       hw::FTQF::VF_BP | bypass);
  }
  /// The queue that the frame arrives in.
  int queue_of(std::span<const std::byte> frame) {
    std::array<std::uint32_t, 8> before{};
    for (std::uint32_t queue = 0; queue < 8; ++queue) before[queue] = fixture.read<hw::RDH>(queue).raw();
    fixture.card.receive(frame);
    for (std::uint32_t queue = 0; queue < 8; ++queue) {
      if (fixture.read<hw::RDH>(queue).raw() != before[queue]) return static_cast<int>(queue);
    }
    return -1;
  }

  static constexpr hw::FTQF::Setting kCompareAll = {hw::FTQF::PROTOCOL_BP.mask(), 0};
  CardFixture fixture;
};

TEST_F(CardQueueFilters, CompareEachFieldUnlessItIsBypassed) {
  const auto frame = tuple_frame(kUdp);
  set(2, 5, kUdp, kCompareAll);
  EXPECT_EQ(queue_of(frame), 5);
  struct Field {
    std::size_t byte;
    hw::FTQF::Bit bypass;
  };
  for (const Field& field : {Field{26, hw::FTQF::SOURCE_ADDRESS_BP}, Field{29, hw::FTQF::SOURCE_ADDRESS_BP},
                             Field{30, hw::FTQF::DESTINATION_ADDRESS_BP}, Field{33, hw::FTQF::DESTINATION_ADDRESS_BP},
                             Field{34, hw::FTQF::SOURCE_PORT_BP}, Field{35, hw::FTQF::SOURCE_PORT_BP}}) {
    auto other = frame;
    other[field.byte] ^= std::byte{1};
    set(2, 5, kUdp, kCompareAll);
    EXPECT_EQ(queue_of(other), 0) << field.byte;
    set(2, 5, kUdp, field.bypass);
    EXPECT_EQ(queue_of(other), 5) << field.byte;
  }
  auto other = frame;
  other[37] ^= std::byte{1};
  EXPECT_EQ(queue_of(other), 0) << "destination port";
  fixture.write<hw::IMIR>(2, hw::IMIR::PORT_BP);
  EXPECT_EQ(queue_of(other), 5);
}

TEST_F(CardQueueFilters, CompareTheProtocolUnlessItIsBypassed) {
  for (const unsigned protocol : {kTcp, kUdp, kSctp}) {
    set(0, 3, protocol, kCompareAll);
    for (const unsigned arriving : {kTcp, kUdp, kSctp}) {
      EXPECT_EQ(queue_of(tuple_frame(arriving)), arriving == protocol ? 3 : 0) << protocol << " " << arriving;
    }
    set(0, 3, protocol, hw::FTQF::PROTOCOL_BP);
    for (const unsigned arriving : {kTcp, kUdp, kSctp}) EXPECT_EQ(queue_of(tuple_frame(arriving)), 3);
    EXPECT_EQ(queue_of(tuple_frame(kIcmp)), 0) << "no ports";
  }
}

TEST_F(CardQueueFilters, DecideByPriorityThenByNumber) {
  set(1, 1, kUdp, kCompareAll, 3);
  set(4, 4, kUdp, kCompareAll, 3);
  set(7, 7, kUdp, kCompareAll, 2);
  EXPECT_EQ(queue_of(tuple_frame(kUdp)), 1);
  set(7, 7, kUdp, kCompareAll, 4);
  EXPECT_EQ(queue_of(tuple_frame(kUdp)), 7);
  fixture.write<hw::FTQF>(7, hw::FTQF::Value());
  EXPECT_EQ(queue_of(tuple_frame(kUdp)), 1) << "a filter that does not select a queue";
}

TEST_F(CardQueueFilters, LookAtLengthAndTcpFlagsIfEnabled) {
  set(0, 3, kTcp, kCompareAll);
  fixture.write<hw::IMIREXT>(0, hw::IMIREXT::CTRL_BP | hw::IMIREXT::SIZE_THRESHOLD(80));
  EXPECT_EQ(queue_of(tuple_frame(kTcp)), 0);
  fixture.write<hw::IMIREXT>(0, hw::IMIREXT::CTRL_BP | hw::IMIREXT::SIZE_THRESHOLD(81));
  EXPECT_EQ(queue_of(tuple_frame(kTcp)), 3);
  fixture.write<hw::IMIREXT>(0, hw::IMIREXT::SIZE_BP | hw::IMIREXT::FIN | hw::IMIREXT::ACK);
  EXPECT_EQ(queue_of(tuple_frame(kTcp, 0x2E)), 0);
  EXPECT_EQ(queue_of(tuple_frame(kTcp, 0x01)), 3);
  EXPECT_EQ(queue_of(tuple_frame(kTcp, 0x10)), 3);
}

TEST_F(CardQueueFilters, SynSelectsAQueueBeforeOrAfterTheOthers) {
  fixture.write<hw::SYNQF>(hw::SYNQF::QUEUE_ENABLE | hw::SYNQF::QUEUE(6));
  EXPECT_EQ(queue_of(tuple_frame(kTcp, 0x02)), 6);
  EXPECT_EQ(queue_of(tuple_frame(kTcp, 0x12)), 6);
  EXPECT_EQ(queue_of(tuple_frame(kTcp, 0x10)), 0);
  EXPECT_EQ(queue_of(tuple_frame(kUdp)), 0);
  set(0, 3, kTcp, kCompareAll);
  EXPECT_EQ(queue_of(tuple_frame(kTcp, 0x02)), 3);
  fixture.write<hw::RFCTL>(hw::RFCTL::SYNQFP);
  EXPECT_EQ(queue_of(tuple_frame(kTcp, 0x02)), 6);
  EXPECT_EQ(queue_of(tuple_frame(kTcp, 0x10)), 3);
  fixture.write<hw::SYNQF>(hw::SYNQF::Value());
  EXPECT_EQ(queue_of(tuple_frame(kTcp, 0x02)), 3);
}

}  // namespace
}  // namespace pollux::models::igb
