// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "unit/models/bench_driver.hpp"

namespace pollux::models::igb {
namespace {

class CardReceive : public testing::Test {
 protected:
  void SetUp() override {
    bench.link_up();
    bench.start_rx();
  }
  [[nodiscard]] const intel::Descriptor& slot(std::uint32_t number) {
    return bench.memory.descriptor(Bench::kRxRing, number);
  }
  [[nodiscard]] std::uint32_t head(std::uint32_t queue = 0) { return bench.read<hw::RDH>(queue).raw(); }
  void change_control(hw::RCTL::Setting bits) { bench.write<hw::RCTL>(bench.read<hw::RCTL>().with(bits)); }
  template <class R>
  [[nodiscard]] std::uint32_t counter(std::uint32_t index = 0) {
    return bench.read<R>(index).raw();
  }

  Bench bench;
};

TEST_F(CardReceive, WritesTheFrameAndItsDescriptor) {
  const auto frame = Bench::frame(60);
  bench.card.receive(frame);
  EXPECT_EQ(slot(0).hi & 0xFFFFFFFF, intel::rx::kDone | intel::rx::kEndOfPacket);
  EXPECT_EQ(intel::rx::length(slot(0).hi), 60u);
  EXPECT_EQ(bench.bytes_at(Bench::buffer(0), 60), frame);
  EXPECT_EQ(head(), 1u);
  EXPECT_EQ(slot(1), intel::rx::armed(Bench::buffer(1)));
}

TEST_F(CardReceive, SpreadsALongFrameOverItsBuffers) {
  bench.write<hw::RLPML>(hw::RLPML::LENGTH(9728));
  change_control(hw::RCTL::LPE);
  const auto frame = Bench::frame(5000);
  bench.card.receive(frame);
  EXPECT_EQ(slot(0).hi & 0xFFFFFFFF, intel::rx::kDone);
  EXPECT_EQ(slot(1).hi & 0xFFFFFFFF, intel::rx::kDone);
  EXPECT_EQ(slot(2).hi & 0xFFFFFFFF, intel::rx::kDone | intel::rx::kEndOfPacket);
  EXPECT_EQ(intel::rx::length(slot(0).hi), 2048u);
  EXPECT_EQ(intel::rx::length(slot(2).hi), 5000u - 4096u);
  EXPECT_EQ(bench.bytes_at(Bench::buffer(0), 5000), frame) << "the buffers are contiguous";
  EXPECT_EQ(head(), 3u);
}

TEST_F(CardReceive, KeepsTheFcsUnlessStrippingIsEnabled) {
  bench.write<hw::RCTL>(bench.read<hw::RCTL>().without(hw::RCTL::SECRC));
  const std::string_view text = "123456789";
  std::vector<std::byte> frame(60);
  std::transform(text.begin(), text.end(), frame.begin(), [](char c) { return static_cast<std::byte>(c); });
  EXPECT_EQ(frame_check_sequence(std::span(frame).first(9)), 0xCBF43926u) << "the check value of CRC-32";
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(intel::rx::length(slot(0).hi), 64u);
  const std::uint32_t crc = frame_check_sequence(Bench::frame(60));
  const auto tail = bench.bytes_at(Bench::buffer(0) + 60, 4);
  EXPECT_EQ(tail[0], static_cast<std::byte>(crc & 0xFF));
  EXPECT_EQ(tail[3], static_cast<std::byte>(crc >> 24));
}

TEST_F(CardReceive, WrapsAroundTheRing) {
  for (std::uint32_t i = 0; i < 40; ++i) {
    bench.card.receive(Bench::frame(60 + i));
    ASSERT_EQ(intel::rx::length(slot(i % Bench::kSlots).hi), 60 + i);
    bench.arm(i % Bench::kSlots);
    bench.write<hw::RDT>(0, hw::RDT::TAIL((i + Bench::kSlots) % Bench::kSlots));
  }
  EXPECT_EQ(head(), 40 % Bench::kSlots);
}

TEST_F(CardReceive, KeepsATailWrittenBeforeTheQueueIsEnabled) {
  bench.write<hw::RDLEN>(1, hw::RDLEN::LEN(Bench::kSlots));
  bench.write<hw::RXDCTL>(1, hw::RXDCTL::ENABLE);
  EXPECT_FALSE(bench.read<hw::RXDCTL>(1).has(hw::RXDCTL::ENABLE));
  bench.write<hw::RDT>(1, hw::RDT::TAIL(7));
  RxQueue& queue = bench.card.receiver().queue(1);
  EXPECT_EQ(bench.read<hw::RDT>(1).raw(), 7u);
  EXPECT_EQ(queue.early_tails(), 1u);
  EXPECT_EQ(queue.armed(), 0u);
  bench.pass(Receive::kEnableTime);
  EXPECT_TRUE(bench.read<hw::RXDCTL>(1).has(hw::RXDCTL::ENABLE));
  EXPECT_EQ(queue.armed(), 7u);
  bench.write<hw::RDT>(1, hw::RDT::TAIL(9));
  EXPECT_EQ(queue.armed(), 9u);
  EXPECT_EQ(queue.early_tails(), 1u);
}

TEST_F(CardReceive, EnablesNoQueueBeforeReceivingIsEnabled) {
  bench.write<hw::RCTL>(bench.read<hw::RCTL>().without(hw::RCTL::RXEN));
  bench.write<hw::RXDCTL>(2, hw::RXDCTL::ENABLE);
  bench.pass(std::chrono::seconds(1));
  EXPECT_FALSE(bench.read<hw::RXDCTL>(2).has(hw::RXDCTL::ENABLE));
  change_control(hw::RCTL::RXEN);
  bench.pass(Receive::kEnableTime);
  EXPECT_TRUE(bench.read<hw::RXDCTL>(2).has(hw::RXDCTL::ENABLE));
}

TEST_F(CardReceive, KeepsFramesInItsPacketBufferUntilThereAreDescriptors) {
  for (std::uint32_t i = 0; i < Bench::kSlots - 1; ++i) bench.card.receive(Bench::frame(60));
  bench.card.receive(Bench::frame(61));
  bench.card.receive(Bench::frame(62));
  EXPECT_EQ(bench.card.receiver().waiting(), 2u);
  bench.write<hw::RDT>(0, hw::RDT::TAIL(Bench::kSlots - 1));
  EXPECT_EQ(counter<hw::RNBC>(), 1u) << "the second frame waits behind the first; only the first is counted";
  EXPECT_EQ(head(), Bench::kSlots - 1);
  bench.arm(15);
  bench.arm(0);
  bench.write<hw::RDT>(0, hw::RDT::TAIL(1));
  EXPECT_EQ(intel::rx::length(slot(15).hi), 61u);
  EXPECT_EQ(intel::rx::length(slot(0).hi), 62u);
  EXPECT_EQ(bench.card.receiver().waiting(), 0u);
}

TEST_F(CardReceive, MissesFramesWhenThePacketBufferIsFull) {
  bench.write<hw::RXPBS>(hw::RXPBS::SIZE(2));
  bench.write<hw::RDT>(0, hw::RDT::TAIL(0));
  const std::uint32_t fit = 2048 / 64;
  for (std::uint32_t i = 0; i < fit + 3; ++i) bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.card.receiver().waiting(), fit);
  EXPECT_EQ(counter<hw::MPC>(), 3u);
  EXPECT_EQ(counter<hw::MPC>(), 0u) << "cleared by reading";
  EXPECT_EQ(counter<hw::GPRC>(), fit);
  EXPECT_EQ(counter<hw::TPR>(), fit + 3);
  EXPECT_TRUE(bench.read<hw::ICR>().has(hw::ICR::RXO));
}

TEST_F(CardReceive, DropsFramesForAQueueWithoutDescriptorsIfEnabled) {
  bench.write<hw::SRRCTL>(0, bench.read<hw::SRRCTL>(0).with(hw::SRRCTL::DROP_EN));
  bench.write<hw::RDT>(0, hw::RDT::TAIL(0));
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.card.receiver().waiting(), 0u);
  EXPECT_EQ(counter<hw::RQDPC>(0), 1u);
  EXPECT_EQ(counter<hw::MPC>(), 0u);
}

TEST_F(CardReceive, AcceptsOnlyFramesAddressedToIt) {
  const auto other = Bench::frame(60, 0x99);
  bench.card.receive(other);
  EXPECT_EQ(head(), 0u);
  EXPECT_EQ(bench.card.receiver().losses().not_for_us, 1u);
  change_control(hw::RCTL::UPE);
  bench.card.receive(other);
  EXPECT_EQ(head(), 1u);
}

TEST_F(CardReceive, MatchesAllExactAddresses) {
  const std::array<std::uint8_t, 6> address{0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
  auto frame = Bench::frame(60);
  std::transform(address.begin(), address.end(), frame.begin(),
                 [](std::uint8_t byte) { return static_cast<std::byte>(byte); });
  // Entry 0 has the card's own address.
  for (std::uint32_t entry = 1; entry < hw::kExactAddresses; ++entry) {
    const std::uint32_t before = head();
    bench.arm((before + Bench::kSlots - 2) % Bench::kSlots);
    bench.write<hw::RDT>(0, hw::RDT::TAIL((before + Bench::kSlots - 1) % Bench::kSlots));
    bench.write<hw::RAL>(entry, hw::RAL::Value(0x33221102));
    bench.write<hw::RAH>(entry, hw::RAH::ADDRESS(0x5544));
    bench.card.receive(frame);
    EXPECT_EQ(head(), before) << "not valid yet: " << entry;
    bench.write<hw::RAH>(entry, hw::RAH::ADDRESS(0x5544) | hw::RAH::AV);
    bench.card.receive(frame);
    EXPECT_EQ(head(), (before + 1) % Bench::kSlots) << entry;
    bench.write<hw::RAH>(entry, hw::RAH::Value());
  }
}

TEST_F(CardReceive, AcceptsBroadcastsAndMulticastsAsConfigured) {
  auto broadcast = Bench::frame(60);
  std::fill_n(broadcast.begin(), 6, std::byte{0xFF});
  auto multicast = Bench::frame(60);
  const std::array<std::uint8_t, 6> group{0x01, 0x00, 0x5E, 0x00, 0x12, 0x34};
  std::transform(group.begin(), group.end(), multicast.begin(),
                 [](std::uint8_t byte) { return static_cast<std::byte>(byte); });
  bench.card.receive(broadcast);
  EXPECT_EQ(head(), 1u);
  bench.write<hw::RCTL>(bench.read<hw::RCTL>().without(hw::RCTL::BAM));
  bench.card.receive(broadcast);
  bench.card.receive(multicast);
  EXPECT_EQ(head(), 1u);
  // RCTL.MO 0: bits 47:36 of the address, 0x341 here.
  bench.write<hw::MTA>(0x341 / 32, hw::MTA::Value(1u << 0x341 % 32));
  bench.card.receive(multicast);
  EXPECT_EQ(head(), 2u);
  EXPECT_NE(slot(1).hi & intel::rx::kInexact, 0u);
  bench.write<hw::MTA>(0x341 / 32, hw::MTA::Value());
  change_control(hw::RCTL::MPE);
  bench.card.receive(multicast);
  EXPECT_EQ(head(), 3u);
  EXPECT_EQ(counter<hw::BPRC>(), 1u);
  EXPECT_EQ(counter<hw::MPRC>(), 2u);
}

TEST_F(CardReceive, CountsRuntsAndGiantsAndStoresNeither) {
  bench.card.receive(Bench::frame(59));
  bench.card.receive(Bench::frame(1515));
  EXPECT_EQ(head(), 0u);
  bench.card.receive(Bench::frame(1514));
  EXPECT_EQ(head(), 1u);
  EXPECT_EQ(counter<hw::RUC>(), 1u);
  EXPECT_EQ(counter<hw::ROC>(), 1u);
  EXPECT_EQ(counter<hw::RLEC>(), 2u);
  EXPECT_EQ(counter<hw::GPRC>(), 1u);
  bench.write<hw::RLPML>(hw::RLPML::LENGTH(2000));
  change_control(hw::RCTL::LPE);
  bench.card.receive(Bench::frame(1997));
  EXPECT_EQ(head(), 1u);
  bench.card.receive(Bench::frame(1996));
  EXPECT_EQ(head(), 2u);
  bench.card.receive({});
  EXPECT_EQ(head(), 2u);
}

TEST_F(CardReceive, FiltersAndStripsVlanTags) {
  auto tagged = Bench::frame(64);
  const std::array<std::uint8_t, 4> tag{0x81, 0x00, 0x60, 0x2A};
  std::transform(tag.begin(), tag.end(), tagged.begin() + 12,
                 [](std::uint8_t byte) { return static_cast<std::byte>(byte); });
  bench.card.receive(tagged);
  EXPECT_EQ(intel::rx::length(slot(0).hi), 64u) << "not stripped unless enabled";
  change_control(hw::RCTL::VFE);
  bench.card.receive(tagged);
  EXPECT_EQ(head(), 1u);
  bench.write<hw::VFTA>(1, hw::VFTA::Value(1u << 10));
  bench.write<hw::CTRL>(bench.read<hw::CTRL>().with(hw::CTRL::VME));
  bench.card.receive(tagged);
  EXPECT_EQ(head(), 2u);
  EXPECT_EQ(intel::rx::length(slot(1).hi), 60u);
  EXPECT_EQ(intel::rx::vlan(slot(1).hi), 0x602A);
  EXPECT_NE(slot(1).hi & intel::rx::kVlan, 0u);
  auto expected = tagged;
  expected.erase(expected.begin() + 12, expected.begin() + 16);
  EXPECT_EQ(bench.bytes_at(Bench::buffer(1), 60), expected);
}

TEST_F(CardReceive, IgnoresFramesWhileTheLinkIsDownOrReceivingIsDisabled) {
  bench.card.set_carrier(false);
  bench.card.receive(Bench::frame(60));
  bench.card.set_carrier(true);
  bench.pass(Phy::kNegotiationTime);
  bench.write<hw::RCTL>(bench.read<hw::RCTL>().without(hw::RCTL::RXEN));
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.card.receiver().losses().not_receiving, 2u);
  EXPECT_EQ(counter<hw::TPR>(), 0u);
  EXPECT_EQ(head(), 0u);
}

TEST_F(CardReceive, LosesFramesForADisabledQueue) {
  bench.write<hw::RXDCTL>(0, hw::RXDCTL::Value());
  EXPECT_TRUE(bench.read<hw::RXDCTL>(0).has(hw::RXDCTL::ENABLE)) << "disabling takes some time";
  bench.pass(Receive::kEnableTime);
  EXPECT_FALSE(bench.read<hw::RXDCTL>(0).has(hw::RXDCTL::ENABLE));
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.card.receiver().losses().queue_disabled, 1u);
  EXPECT_EQ(head(), 0u);
}

TEST_F(CardReceive, NeverAccessesUnmappedMemory) {
  bench.memory.descriptor(Bench::kRxRing, 0) = intel::rx::armed(0xDEAD0000);
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.card.dma().refused(), 1u);
  EXPECT_TRUE(intel::rx::done(slot(0).hi));
  // A buffer whose end is not mapped.
  const std::uint64_t end = TestMemory::kBase + (1 << 20);
  bench.memory.descriptor(Bench::kRxRing, 1) = intel::rx::armed(end - 32);
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.card.dma().refused(), 2u);
  // An unmapped ring stops the queue.
  bench.write<hw::RDBAH>(0, hw::RDBAH::Value(0xFFFF));
  bench.card.receive(Bench::frame(60));
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(bench.card.dma().refused(), 3u);
  EXPECT_EQ(bench.card.receiver().losses().queue_broken, 2u);
}

TEST_F(CardReceive, WaitsWhileBusMasteringIsOff) {
  bench.card.set_dma(nullptr);
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(head(), 0u);
  EXPECT_EQ(bench.card.receiver().waiting(), 1u);
  bench.card.set_dma(&bench.memory);
  EXPECT_EQ(head(), 1u);
}

TEST_F(CardReceive, TreatsATailOutsideTheRingAsAnEmptyRing) {
  bench.write<hw::RDT>(0, hw::RDT::TAIL(Bench::kSlots));
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(head(), 0u);
  EXPECT_EQ(bench.card.receiver().waiting(), 1u);
}

TEST_F(CardReceive, WritesBackAnyContentForATest) {
  ASSERT_TRUE(bench.card.receiver().queue(0).write_back(intel::rx::written_back({.length = 4000})));
  EXPECT_EQ(intel::rx::length(slot(0).hi), 4000u);
  EXPECT_EQ(head(), 1u);
}

TEST_F(CardReceive, WritesTheLegacyFormatIfSrrctlSelectsIt) {
  bench.write<hw::SRRCTL>(0, hw::SRRCTL::LEGACY | hw::SRRCTL::BSIZEPACKET(2));
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(slot(0).lo, Bench::buffer(0));
  EXPECT_EQ(slot(0).hi, 60 | std::uint64_t{3} << 32);
}

TEST_F(CardReceive, CountsLengthsAndOctets) {
  for (const std::size_t size : {60u, 61u, 123u, 124u, 508u, 1019u, 1020u}) bench.card.receive(Bench::frame(size));
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
  bench.card.registers().set<hw::GORCH>(hw::GORCH::Value(0xFFFFFFFF));
  bench.card.registers().set<hw::GORCL>(hw::GORCL::Value(0xFFFFFFFF - 63));
  bench.card.receive(Bench::frame(59));
  EXPECT_EQ(counter<hw::GORCL>(), 0xFFFFFFFF - 63) << "too short to count as a good packet";
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(counter<hw::GORCL>(), 0xFFFFFFFFu) << "64 octets exceed the maximum by one";
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(counter<hw::GORCL>(), 0xFFFFFFFFu);
  EXPECT_EQ(counter<hw::GORCH>(), 0xFFFFFFFFu);
}

TEST_F(CardReceive, OctetCountersReachTheirMaximum) {
  bench.card.registers().set<hw::GORCH>(hw::GORCH::Value(0xFFFFFFFF));
  bench.card.registers().set<hw::GORCL>(hw::GORCL::Value(0xFFFFFFFF - 65));
  bench.card.receive(Bench::frame(60));
  EXPECT_EQ(counter<hw::GORCL>(), 0xFFFFFFFEu);
  EXPECT_EQ(counter<hw::GORCH>(), 0xFFFFFFFFu);
}

TEST_F(CardReceive, CountsCorruptFramesAndStoresThemOnlyIfEnabled) {
  bench.card.receive_corrupt(Bench::frame(60));
  EXPECT_EQ(head(), 0u);
  EXPECT_EQ(counter<hw::CRCERRS>(), 1u);
  change_control(hw::RCTL::SBP);
  bench.card.receive_corrupt(Bench::frame(60));
  EXPECT_EQ(head(), 1u);
  EXPECT_EQ(slot(0).hi & 0xFFFFFFFF, intel::rx::kDone | intel::rx::kEndOfPacket | intel::rx::kDataError);
  bench.card.receive_corrupt(Bench::frame(60, 0x99));
  EXPECT_EQ(head(), 1u) << "not for this card";
  EXPECT_EQ(counter<hw::CRCERRS>(), 2u);
  EXPECT_EQ(counter<hw::GPRC>(), 0u);
  bench.card.set_carrier(false);
  bench.card.receive_corrupt(Bench::frame(60));
  EXPECT_EQ(counter<hw::CRCERRS>(), 0u);
}

TEST_F(CardReceive, ReportsWhetherItCanReceiveAFrame) {
  EXPECT_TRUE(bench.card.can_receive());
  bench.write<hw::RDT>(0, hw::RDT::TAIL(0));
  unsigned taken = 0;
  for (; bench.card.can_receive() && taken < 10000; ++taken) bench.card.receive(Bench::frame(60));
  EXPECT_LT(taken, 10000u);
  EXPECT_EQ(counter<hw::MPC>(), 0u) << "reported before a frame is dropped";
  bench.write<hw::RCTL>(bench.read<hw::RCTL>().without(hw::RCTL::RXEN));
  EXPECT_FALSE(bench.card.can_receive());
  change_control(hw::RCTL::RXEN);
  EXPECT_TRUE(bench.card.can_receive());
  bench.card.set_carrier(false);
  EXPECT_FALSE(bench.card.can_receive());
}

TEST_F(CardReceive, UsesTheUnicastHashForPoolsOnly) {
  const auto other = Bench::frame(60, 0x99);
  for (std::uint32_t i = 0; i < hw::UTA::kCount; ++i) bench.write<hw::UTA>(i, hw::UTA::Value(~0u));
  bench.card.receive(other);
  EXPECT_EQ(head(), 0u);
  bench.write<hw::MRQC>(hw::MRQC::VMDQ);
  bench.card.receive(other);
  EXPECT_EQ(head(), 1u);
}

}  // namespace
}  // namespace pollux::models::igb
