// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "unit/models/card_fixture.hpp"

namespace pollux::models::igb {
namespace {

class CardReceive : public testing::Test {
 protected:
  void SetUp() override {
    fixture.link_up();
    fixture.start_rx();
  }
  [[nodiscard]] const intel::Descriptor& slot(std::uint32_t number) {
    return fixture.memory.descriptor(CardFixture::kRxRing, number);
  }
  [[nodiscard]] std::uint32_t head(std::uint32_t queue = 0) { return fixture.read<hw::RDH>(queue).raw(); }
  void change_control(hw::RCTL::Setting bits) { fixture.write<hw::RCTL>(fixture.read<hw::RCTL>().with(bits)); }
  template <class R>
  [[nodiscard]] std::uint32_t counter(std::uint32_t index = 0) {
    return fixture.read<R>(index).raw();
  }

  CardFixture fixture;
};

TEST_F(CardReceive, WritesTheFrameAndItsDescriptor) {
  const auto frame = CardFixture::frame(60);
  fixture.card.receive(frame);
  EXPECT_EQ(slot(0).hi & 0xFFFFFFFF, intel::rx::kDone | intel::rx::kEndOfPacket);
  EXPECT_EQ(intel::rx::length(slot(0).hi), 60u);
  EXPECT_EQ(fixture.bytes_at(CardFixture::buffer(0), 60), frame);
  EXPECT_EQ(head(), 1u);
  EXPECT_EQ(slot(1), intel::rx::armed(CardFixture::buffer(1)));
}

TEST_F(CardReceive, SpreadsALongFrameOverItsBuffers) {
  fixture.write<hw::RLPML>(hw::RLPML::LENGTH(9728));
  change_control(hw::RCTL::LPE);
  const auto frame = CardFixture::frame(5000);
  fixture.card.receive(frame);
  EXPECT_EQ(slot(0).hi & 0xFFFFFFFF, intel::rx::kDone);
  EXPECT_EQ(slot(1).hi & 0xFFFFFFFF, intel::rx::kDone);
  EXPECT_EQ(slot(2).hi & 0xFFFFFFFF, intel::rx::kDone | intel::rx::kEndOfPacket);
  EXPECT_EQ(intel::rx::length(slot(0).hi), 2048u);
  EXPECT_EQ(intel::rx::length(slot(2).hi), 5000u - 4096u);
  EXPECT_EQ(fixture.bytes_at(CardFixture::buffer(0), 5000), frame) << "the buffers are contiguous";
  EXPECT_EQ(head(), 3u);
}

TEST_F(CardReceive, KeepsTheFcsUnlessStrippingIsEnabled) {
  fixture.write<hw::RCTL>(fixture.read<hw::RCTL>().without(hw::RCTL::SECRC));
  const std::string_view text = "123456789";
  std::vector<std::byte> frame(60);
  std::transform(text.begin(), text.end(), frame.begin(), [](char c) { return static_cast<std::byte>(c); });
  EXPECT_EQ(frame_check_sequence(std::span(frame).first(9)), 0xCBF43926u) << "the check value of CRC-32";
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(intel::rx::length(slot(0).hi), 64u);
  const std::uint32_t crc = frame_check_sequence(CardFixture::frame(60));
  const auto tail = fixture.bytes_at(CardFixture::buffer(0) + 60, 4);
  EXPECT_EQ(tail[0], static_cast<std::byte>(crc & 0xFF));
  EXPECT_EQ(tail[3], static_cast<std::byte>(crc >> 24));
}

TEST_F(CardReceive, WrapsAroundTheRing) {
  for (std::uint32_t i = 0; i < 40; ++i) {
    fixture.card.receive(CardFixture::frame(60 + i));
    ASSERT_EQ(intel::rx::length(slot(i % CardFixture::kSlots).hi), 60 + i);
    fixture.arm(i % CardFixture::kSlots);
    fixture.write<hw::RDT>(0, hw::RDT::TAIL((i + CardFixture::kSlots) % CardFixture::kSlots));
  }
  EXPECT_EQ(head(), 40 % CardFixture::kSlots);
}

TEST_F(CardReceive, KeepsATailWrittenBeforeTheQueueIsEnabled) {
  fixture.write<hw::RDLEN>(1, hw::RDLEN::LEN(CardFixture::kSlots));
  fixture.write<hw::RXDCTL>(1, hw::RXDCTL::ENABLE);
  EXPECT_FALSE(fixture.read<hw::RXDCTL>(1).has(hw::RXDCTL::ENABLE));
  fixture.write<hw::RDT>(1, hw::RDT::TAIL(7));
  CardRxQueue& queue = fixture.card.receiver().queue(1);
  EXPECT_EQ(fixture.read<hw::RDT>(1).raw(), 7u);
  EXPECT_EQ(queue.early_tails(), 1u);
  EXPECT_EQ(queue.armed(), 0u);
  fixture.pass(Receive::kEnableTime);
  EXPECT_TRUE(fixture.read<hw::RXDCTL>(1).has(hw::RXDCTL::ENABLE));
  EXPECT_EQ(queue.armed(), 7u);
  fixture.write<hw::RDT>(1, hw::RDT::TAIL(9));
  EXPECT_EQ(queue.armed(), 9u);
  EXPECT_EQ(queue.early_tails(), 1u);
}

TEST_F(CardReceive, EnablesNoQueueBeforeReceivingIsEnabled) {
  fixture.write<hw::RCTL>(fixture.read<hw::RCTL>().without(hw::RCTL::RXEN));
  fixture.write<hw::RXDCTL>(2, hw::RXDCTL::ENABLE);
  fixture.pass(std::chrono::seconds(1));
  EXPECT_FALSE(fixture.read<hw::RXDCTL>(2).has(hw::RXDCTL::ENABLE));
  change_control(hw::RCTL::RXEN);
  fixture.pass(Receive::kEnableTime);
  EXPECT_TRUE(fixture.read<hw::RXDCTL>(2).has(hw::RXDCTL::ENABLE));
}

TEST_F(CardReceive, KeepsFramesInItsPacketBufferUntilThereAreDescriptors) {
  for (std::uint32_t i = 0; i < CardFixture::kSlots - 1; ++i) fixture.card.receive(CardFixture::frame(60));
  fixture.card.receive(CardFixture::frame(61));
  fixture.card.receive(CardFixture::frame(62));
  EXPECT_EQ(fixture.card.receiver().waiting(), 2u);
  fixture.write<hw::RDT>(0, hw::RDT::TAIL(CardFixture::kSlots - 1));
  EXPECT_EQ(counter<hw::RNBC>(), 1u) << "the second frame waits behind the first; only the first is counted";
  EXPECT_EQ(head(), CardFixture::kSlots - 1);
  fixture.arm(15);
  fixture.arm(0);
  fixture.write<hw::RDT>(0, hw::RDT::TAIL(1));
  EXPECT_EQ(intel::rx::length(slot(15).hi), 61u);
  EXPECT_EQ(intel::rx::length(slot(0).hi), 62u);
  EXPECT_EQ(fixture.card.receiver().waiting(), 0u);
}

TEST_F(CardReceive, MissesFramesWhenThePacketBufferIsFull) {
  fixture.write<hw::RXPBS>(hw::RXPBS::SIZE(2));
  fixture.write<hw::RDT>(0, hw::RDT::TAIL(0));
  const std::uint32_t fit = 2048 / 64;
  for (std::uint32_t i = 0; i < fit + 3; ++i) fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.card.receiver().waiting(), fit);
  EXPECT_EQ(counter<hw::MPC>(), 3u);
  EXPECT_EQ(counter<hw::MPC>(), 0u) << "cleared by reading";
  EXPECT_EQ(counter<hw::GPRC>(), fit);
  EXPECT_EQ(counter<hw::TPR>(), fit + 3);
  EXPECT_TRUE(fixture.read<hw::ICR>().has(hw::ICR::RXO));
}

TEST_F(CardReceive, DropsFramesForAQueueWithoutDescriptorsIfEnabled) {
  const hw::SRRCTL::Value waits = fixture.read<hw::SRRCTL>(0);
  fixture.write<hw::RDT>(0, hw::RDT::TAIL(0));
  fixture.card.receive(CardFixture::frame(60));
  fixture.write<hw::SRRCTL>(0, waits.with(hw::SRRCTL::DROP_EN));
  EXPECT_EQ(counter<hw::RQDPC>(0), 1u);
  fixture.write<hw::SRRCTL>(0, waits);
  fixture.write<hw::QDE>(hw::QDE::QUEUES(0xFFFE));
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.card.receiver().waiting(), 1u) << "the bits of other queues";
  fixture.write<hw::QDE>(hw::QDE::QUEUES(1));
  EXPECT_EQ(fixture.card.receiver().waiting(), 0u);
  EXPECT_EQ(counter<hw::RQDPC>(0), 1u);
  EXPECT_EQ(counter<hw::MPC>(), 0u);
}

TEST_F(CardReceive, AcceptsOnlyFramesAddressedToIt) {
  const auto other = CardFixture::frame(60, 0x99);
  fixture.card.receive(other);
  EXPECT_EQ(head(), 0u);
  EXPECT_EQ(fixture.card.receiver().losses().not_for_us, 1u);
  change_control(hw::RCTL::UPE);
  fixture.card.receive(other);
  EXPECT_EQ(head(), 1u);
}

TEST_F(CardReceive, MatchesAllExactAddresses) {
  const std::array<std::uint8_t, 6> address{0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
  auto frame = CardFixture::frame(60);
  std::transform(address.begin(), address.end(), frame.begin(),
                 [](std::uint8_t byte) { return static_cast<std::byte>(byte); });
  // Entry 0 has the card's own address.
  for (std::uint32_t entry = 1; entry < hw::kExactAddresses; ++entry) {
    const std::uint32_t before = head();
    fixture.arm((before + CardFixture::kSlots - 2) % CardFixture::kSlots);
    fixture.write<hw::RDT>(0, hw::RDT::TAIL((before + CardFixture::kSlots - 1) % CardFixture::kSlots));
    fixture.write<hw::RAL>(entry, hw::RAL::Value(0x33221102));
    fixture.write<hw::RAH>(entry, hw::RAH::ADDRESS(0x5544));
    fixture.card.receive(frame);
    EXPECT_EQ(head(), before) << "not valid yet: " << entry;
    fixture.write<hw::RAH>(entry, hw::RAH::ADDRESS(0x5544) | hw::RAH::AV);
    fixture.card.receive(frame);
    EXPECT_EQ(head(), (before + 1) % CardFixture::kSlots) << entry;
    fixture.write<hw::RAH>(entry, hw::RAH::Value());
  }
}

TEST_F(CardReceive, AcceptsBroadcastsAndMulticastsAsConfigured) {
  auto broadcast = CardFixture::frame(60);
  std::fill_n(broadcast.begin(), 6, std::byte{0xFF});
  auto multicast = CardFixture::frame(60);
  const std::array<std::uint8_t, 6> group{0x01, 0x00, 0x5E, 0x00, 0x12, 0x34};
  std::transform(group.begin(), group.end(), multicast.begin(),
                 [](std::uint8_t byte) { return static_cast<std::byte>(byte); });
  fixture.card.receive(broadcast);
  EXPECT_EQ(head(), 1u);
  fixture.write<hw::RCTL>(fixture.read<hw::RCTL>().without(hw::RCTL::BAM));
  fixture.card.receive(broadcast);
  fixture.card.receive(multicast);
  EXPECT_EQ(head(), 1u);
  // RCTL.MO 0: bits 47:36 of the address, 0x341 here.
  fixture.write<hw::MTA>(0x341 / 32, hw::MTA::Value(1u << 0x341 % 32));
  fixture.card.receive(multicast);
  EXPECT_EQ(head(), 2u);
  EXPECT_NE(slot(1).hi & intel::rx::kInexact, 0u);
  fixture.write<hw::MTA>(0x341 / 32, hw::MTA::Value());
  change_control(hw::RCTL::MPE);
  fixture.card.receive(multicast);
  EXPECT_EQ(head(), 3u);
  EXPECT_EQ(counter<hw::BPRC>(), 1u);
  EXPECT_EQ(counter<hw::MPRC>(), 2u);
}

TEST_F(CardReceive, CountsRuntsAndGiantsAndStoresNeither) {
  fixture.card.receive(CardFixture::frame(59));
  fixture.card.receive(CardFixture::frame(1515));
  EXPECT_EQ(head(), 0u);
  fixture.card.receive(CardFixture::frame(1514));
  EXPECT_EQ(head(), 1u);
  EXPECT_EQ(counter<hw::RUC>(), 1u);
  EXPECT_EQ(counter<hw::ROC>(), 1u);
  EXPECT_EQ(counter<hw::RLEC>(), 2u);
  EXPECT_EQ(counter<hw::GPRC>(), 1u);
  fixture.write<hw::RLPML>(hw::RLPML::LENGTH(2000));
  change_control(hw::RCTL::LPE);
  fixture.card.receive(CardFixture::frame(1997));
  EXPECT_EQ(head(), 1u);
  fixture.card.receive(CardFixture::frame(1996));
  EXPECT_EQ(head(), 2u);
  fixture.card.receive({});
  EXPECT_EQ(head(), 2u);
}

TEST_F(CardReceive, FiltersAndStripsVlanTags) {
  auto tagged = CardFixture::frame(64);
  const std::array<std::uint8_t, 4> tag{0x81, 0x00, 0x60, 0x2A};
  std::transform(tag.begin(), tag.end(), tagged.begin() + 12,
                 [](std::uint8_t byte) { return static_cast<std::byte>(byte); });
  fixture.card.receive(tagged);
  EXPECT_EQ(intel::rx::length(slot(0).hi), 64u) << "not stripped unless enabled";
  change_control(hw::RCTL::VFE);
  fixture.card.receive(tagged);
  EXPECT_EQ(head(), 1u);
  fixture.write<hw::VFTA>(1, hw::VFTA::Value(1u << 10));
  fixture.write<hw::CTRL>(fixture.read<hw::CTRL>().with(hw::CTRL::VME));
  fixture.card.receive(tagged);
  EXPECT_EQ(head(), 2u);
  EXPECT_EQ(intel::rx::length(slot(1).hi), 60u);
  EXPECT_EQ(intel::rx::vlan(slot(1).hi), 0x602A);
  EXPECT_NE(slot(1).hi & intel::rx::kVlan, 0u);
  auto expected = tagged;
  expected.erase(expected.begin() + 12, expected.begin() + 16);
  EXPECT_EQ(fixture.bytes_at(CardFixture::buffer(1), 60), expected);
}

TEST_F(CardReceive, IgnoresFramesWhileTheLinkIsDownOrReceivingIsDisabled) {
  fixture.card.set_carrier(false);
  fixture.card.receive(CardFixture::frame(60));
  fixture.card.set_carrier(true);
  fixture.pass(Phy::kNegotiationTime);
  fixture.write<hw::RCTL>(fixture.read<hw::RCTL>().without(hw::RCTL::RXEN));
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.card.receiver().losses().not_receiving, 2u);
  EXPECT_EQ(counter<hw::TPR>(), 0u);
  EXPECT_EQ(head(), 0u);
}

TEST_F(CardReceive, LosesFramesForADisabledQueue) {
  fixture.write<hw::RXDCTL>(0, hw::RXDCTL::Value());
  EXPECT_TRUE(fixture.read<hw::RXDCTL>(0).has(hw::RXDCTL::ENABLE)) << "disabling takes some time";
  fixture.pass(Receive::kEnableTime);
  EXPECT_FALSE(fixture.read<hw::RXDCTL>(0).has(hw::RXDCTL::ENABLE));
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.card.receiver().losses().queue_disabled, 1u);
  EXPECT_EQ(head(), 0u);
}

TEST_F(CardReceive, NeverAccessesUnmappedMemory) {
  fixture.memory.descriptor(CardFixture::kRxRing, 0) = intel::rx::armed(0xDEAD0000);
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.card.dma().refused(), 1u);
  EXPECT_TRUE(intel::rx::done(slot(0).hi));
  // A buffer whose end is not mapped.
  const std::uint64_t end = TestMemory::kBase + (1 << 20);
  fixture.memory.descriptor(CardFixture::kRxRing, 1) = intel::rx::armed(end - 32);
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.card.dma().refused(), 2u);
  // An unmapped ring stops the queue.
  fixture.write<hw::RDBAH>(0, hw::RDBAH::Value(0xFFFF));
  fixture.card.receive(CardFixture::frame(60));
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(fixture.card.dma().refused(), 3u);
  EXPECT_EQ(fixture.card.receiver().losses().queue_broken, 2u);
}

TEST_F(CardReceive, WaitsWhileBusMasteringIsOff) {
  fixture.card.set_dma(nullptr);
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(head(), 0u);
  EXPECT_EQ(fixture.card.receiver().waiting(), 1u);
  fixture.card.set_dma(&fixture.memory);
  EXPECT_EQ(head(), 1u);
}

TEST_F(CardReceive, TreatsATailOutsideTheRingAsAnEmptyRing) {
  fixture.write<hw::RDT>(0, hw::RDT::TAIL(CardFixture::kSlots));
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(head(), 0u);
  EXPECT_EQ(fixture.card.receiver().waiting(), 1u);
}

TEST_F(CardReceive, WritesBackAnyContentForATest) {
  ASSERT_TRUE(fixture.card.receiver().queue(0).write_back(intel::rx::written_back({.length = 4000})));
  EXPECT_EQ(intel::rx::length(slot(0).hi), 4000u);
  EXPECT_EQ(head(), 1u);
}

TEST_F(CardReceive, WritesTheLegacyFormatIfSrrctlSelectsIt) {
  fixture.write<hw::SRRCTL>(0, hw::SRRCTL::LEGACY | hw::SRRCTL::BSIZEPACKET(2));
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(slot(0).lo, CardFixture::buffer(0));
  EXPECT_EQ(slot(0).hi, 60 | std::uint64_t{3} << 32);
}

TEST_F(CardReceive, CountsLengthsAndOctets) {
  for (const std::size_t size : {60u, 61u, 123u, 124u, 508u, 1019u, 1020u})
    fixture.card.receive(CardFixture::frame(size));
  EXPECT_EQ(counter<hw::PRC64>(), 1u);
  EXPECT_EQ(counter<hw::PRC127>(), 2u);
  EXPECT_EQ(counter<hw::PRC255>(), 1u);
  EXPECT_EQ(counter<hw::PRC511>(), 0u);
  EXPECT_EQ(counter<hw::PRC1023>(), 2u);
  EXPECT_EQ(counter<hw::PRC1522>(), 1u);
  const std::uint32_t octets = 60 + 61 + 123 + 124 + 508 + 1019 + 1020 + 7 * 4;
  EXPECT_EQ(counter<hw::GORCL>(), octets);
  EXPECT_EQ(counter<hw::GORCL>(), octets) << "only the high half clears";
  EXPECT_EQ(counter<hw::GORCH>(), 0u);
  EXPECT_EQ(counter<hw::GORCL>(), 0u);
  EXPECT_EQ(counter<hw::TORL>(), octets);
}

TEST_F(CardReceive, OctetCountersSaturate) {
  fixture.card.registers().set<hw::GORCH>(hw::GORCH::Value(0xFFFFFFFF));
  fixture.card.registers().set<hw::GORCL>(hw::GORCL::Value(0xFFFFFFFF - 63));
  fixture.card.receive(CardFixture::frame(59));
  EXPECT_EQ(counter<hw::GORCL>(), 0xFFFFFFFF - 63) << "too short to count as a good packet";
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(counter<hw::GORCL>(), 0xFFFFFFFFu) << "64 octets exceed the maximum by one";
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(counter<hw::GORCL>(), 0xFFFFFFFFu);
  EXPECT_EQ(counter<hw::GORCH>(), 0xFFFFFFFFu);
}

TEST_F(CardReceive, OctetCountersReachTheirMaximum) {
  fixture.card.registers().set<hw::GORCH>(hw::GORCH::Value(0xFFFFFFFF));
  fixture.card.registers().set<hw::GORCL>(hw::GORCL::Value(0xFFFFFFFF - 65));
  fixture.card.receive(CardFixture::frame(60));
  EXPECT_EQ(counter<hw::GORCL>(), 0xFFFFFFFEu);
  EXPECT_EQ(counter<hw::GORCH>(), 0xFFFFFFFFu);
}

TEST_F(CardReceive, CountsCorruptFramesAndStoresThemOnlyIfEnabled) {
  fixture.card.receive_corrupt(CardFixture::frame(60));
  EXPECT_EQ(head(), 0u);
  EXPECT_EQ(counter<hw::CRCERRS>(), 1u);
  change_control(hw::RCTL::SBP);
  fixture.card.receive_corrupt(CardFixture::frame(60));
  EXPECT_EQ(head(), 1u);
  EXPECT_EQ(slot(0).hi & 0xFFFFFFFF, intel::rx::kDone | intel::rx::kEndOfPacket | intel::rx::kDataError);
  fixture.card.receive_corrupt(CardFixture::frame(60, 0x99));
  EXPECT_EQ(head(), 1u) << "not for this card";
  EXPECT_EQ(counter<hw::CRCERRS>(), 2u);
  EXPECT_EQ(counter<hw::GPRC>(), 0u);
  fixture.card.set_carrier(false);
  fixture.card.receive_corrupt(CardFixture::frame(60));
  EXPECT_EQ(counter<hw::CRCERRS>(), 0u);
}

TEST_F(CardReceive, ReportsWhetherItCanReceiveAFrame) {
  EXPECT_TRUE(fixture.card.can_receive());
  fixture.write<hw::RDT>(0, hw::RDT::TAIL(0));
  unsigned taken = 0;
  for (; fixture.card.can_receive() && taken < 10000; ++taken) fixture.card.receive(CardFixture::frame(60));
  EXPECT_LT(taken, 10000u);
  EXPECT_EQ(counter<hw::MPC>(), 0u) << "reported before a frame is dropped";
  fixture.write<hw::RCTL>(fixture.read<hw::RCTL>().without(hw::RCTL::RXEN));
  EXPECT_FALSE(fixture.card.can_receive());
  change_control(hw::RCTL::RXEN);
  EXPECT_TRUE(fixture.card.can_receive());
  fixture.card.set_carrier(false);
  EXPECT_FALSE(fixture.card.can_receive());
}

TEST_F(CardReceive, UsesTheUnicastHashForPoolsOnly) {
  const auto other = CardFixture::frame(60, 0x99);
  for (std::uint32_t i = 0; i < hw::UTA::kCount; ++i) fixture.write<hw::UTA>(i, hw::UTA::Value(~0u));
  fixture.card.receive(other);
  EXPECT_EQ(head(), 0u);
  fixture.write<hw::MRQC>(hw::MRQC::VMDQ);
  fixture.card.receive(other);
  EXPECT_EQ(head(), 1u);
}

}  // namespace
}  // namespace pollux::models::igb
