// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "unit/models/function_fixture.hpp"

namespace pollux::models::igb {
namespace {

constexpr std::uint8_t kPhysical = 0x60;
constexpr std::uint8_t kOwn = FunctionFixture::kFunctionAddress;
constexpr std::uint8_t kForeign = 0x99;

/// The pools of a physical and a virtual function, with traffic. Each has its own memory.
class CardPools : public testing::Test {
 protected:
  void SetUp() override {
    fixture.set_up_pools();
    fixture.start_rx(FunctionFixture::kPhysicalPool);
    fixture.start_own_rx();
  }
  [[nodiscard]] static std::vector<std::byte> broadcast(std::uint8_t from) {
    auto frame = FunctionFixture::frame_between(from, 0);
    std::fill_n(frame.begin(), 6, std::byte{0xFF});
    return frame;
  }
  /// The frames that the function and the physical function have received.
  [[nodiscard]] std::pair<std::uint32_t, std::uint32_t> received() {
    return {fixture.own_received(), fixture.physical_received()};
  }
  using Counts = std::pair<std::uint32_t, std::uint32_t>;

  FunctionFixture fixture;
};

TEST_F(CardPools, PassesFramesToThePoolOfTheirAddress) {
  const auto frame = FunctionFixture::frame(60, kOwn);
  fixture.card.receive(frame);
  EXPECT_EQ(received(), Counts(1, 0));
  EXPECT_TRUE(std::equal(frame.begin(), frame.end(), fixture.own_memory.at(CardFixture::buffer(0))));
  EXPECT_NE(fixture.bytes_at(CardFixture::buffer(0), 60), frame) << "in the function's memory only";
  fixture.card.receive(FunctionFixture::frame(60, kPhysical));
  EXPECT_EQ(received(), Counts(1, 1));
  EXPECT_EQ(fixture.own<vf::VFGPRC>().raw(), 1u);
  EXPECT_EQ(fixture.own<vf::VFGORC>().raw(), 64u);
  EXPECT_EQ(fixture.own<vf::VFGPRLBC>().raw(), 0u);
}

TEST_F(CardPools, RaisesTheVectorOfTheFunctionsQueue) {
  fixture.own_write<vf::VTIVAR>(vf::VTIVAR::RX0(1) | vf::VTIVAR::RX0_VALID);
  fixture.own_write<vf::EIMS>(vf::EIMS::Value(7));
  fixture.card.receive(FunctionFixture::frame(60, kOwn));
  EXPECT_EQ(fixture.own_messages, std::vector<unsigned>{1});
  EXPECT_TRUE(fixture.messages.empty());
}

TEST_F(CardPools, PassesUnknownAddressesToTheDefaultPool) {
  fixture.write<hw::RCTL>(fixture.read<hw::RCTL>().with(hw::RCTL::UPE));
  fixture.card.receive(FunctionFixture::frame(60, kForeign));
  EXPECT_EQ(received(), Counts(0, 1));
  fixture.write<hw::VT_CTL>(fixture.read<hw::VT_CTL>().with(hw::VT_CTL::DISABLE_DEFAULT_POOL));
  fixture.card.receive(FunctionFixture::frame(60, kForeign));
  EXPECT_EQ(received(), Counts(0, 1));
}

TEST_F(CardPools, ReplicatesBroadcasts) {
  fixture.card.receive(broadcast(kForeign));
  EXPECT_EQ(received(), Counts(1, 1));
  EXPECT_EQ(fixture.read<hw::GPRC>().raw(), 1u) << "one frame of the wire";
  fixture.write<hw::VT_CTL>(fixture.read<hw::VT_CTL>().without(hw::VT_CTL::REPLICATION_EN));
  fixture.card.receive(broadcast(kForeign));
  EXPECT_EQ(received(), Counts(1, 2)) << "without replication for the default pool alone";
  fixture.write<hw::VMOLR>(0, fixture.read<hw::VMOLR>(0).without(hw::VMOLR::BAM));
  fixture.write<hw::VT_CTL>(fixture.read<hw::VT_CTL>().with(hw::VT_CTL::REPLICATION_EN));
  fixture.card.receive(broadcast(kForeign));
  EXPECT_EQ(received(), Counts(1, 3));
}

TEST_F(CardPools, PassesMulticastsOfTheTableToPoolsThatAskForThem) {
  auto frame = FunctionFixture::frame_between(kForeign, 0);
  frame[0] = std::byte{0x01};
  for (std::uint32_t i = 0; i < hw::MTA::kCount; ++i) fixture.write<hw::MTA>(i, hw::MTA::Value(~0u));
  fixture.card.receive(frame);
  EXPECT_EQ(received(), Counts(0, 0));
  fixture.write<hw::VMOLR>(0, fixture.read<hw::VMOLR>(0).with(hw::VMOLR::ROMPE));
  fixture.card.receive(frame);
  EXPECT_EQ(received(), Counts(1, 0));
  fixture.write<hw::VMOLR>(1, fixture.read<hw::VMOLR>(1).with(hw::VMOLR::MPME));
  fixture.card.receive(frame);
  EXPECT_EQ(received(), Counts(2, 1));
  EXPECT_EQ(fixture.own<vf::VFMPRC>().raw(), 2u);
}

TEST_F(CardPools, SwitchesBetweenPoolsInsideTheCard) {
  const auto frame = FunctionFixture::frame_between(kOwn, kPhysical);
  fixture.own_send(frame);
  EXPECT_EQ(received(), Counts(0, 1));
  EXPECT_EQ(fixture.bytes_at(CardFixture::buffer(0), 60), frame);
  EXPECT_TRUE(fixture.sent.empty()) << "not for the wire";
  EXPECT_EQ(fixture.own<vf::VFGPTC>().raw(), 1u);
  EXPECT_EQ(fixture.own<vf::VFGPTLBC>().raw(), 1u);
  EXPECT_EQ(fixture.read<hw::PVFGPRLBC>(1).raw(), 1u);
  EXPECT_EQ(fixture.read<hw::GPTC>().raw(), 0u);
  fixture.write<hw::DTXSWC>(hw::DTXSWC::Value());
  fixture.own_send(frame);
  EXPECT_EQ(received(), Counts(0, 1));
  EXPECT_EQ(fixture.sent.size(), 1u) << "without the switch everything is for the wire";
}

TEST_F(CardPools, SendsBroadcastsToTheWireAndToOtherPools) {
  fixture.own_send(broadcast(kOwn));
  EXPECT_EQ(received(), Counts(0, 1));
  EXPECT_EQ(fixture.sent.size(), 1u);
  fixture.own_send(FunctionFixture::frame_between(kOwn, kForeign));
  EXPECT_EQ(received(), Counts(0, 1));
  EXPECT_EQ(fixture.sent.size(), 2u);
  fixture.write<hw::DTXSWC>(fixture.read<hw::DTXSWC>().with(hw::DTXSWC::LOCAL_LOOPBACK(1)));
  fixture.own_send(broadcast(kOwn));
  EXPECT_EQ(received(), Counts(1, 2)) << "back to its sender only if that is enabled";
}

TEST_F(CardPools, DropsFramesWithAForeignSource) {
  fixture.write<hw::DTXSWC>(fixture.read<hw::DTXSWC>().with(hw::DTXSWC::MAC_SPOOF(1)));
  fixture.own_send(FunctionFixture::frame_between(kOwn, kForeign));
  EXPECT_EQ(fixture.sent.size(), 1u);
  fixture.own_send(FunctionFixture::frame_between(kForeign, kPhysical));
  EXPECT_EQ(fixture.sent.size(), 1u);
  EXPECT_EQ(received(), Counts(0, 0));
  EXPECT_EQ(fixture.card.transmitter().losses().forged, 1u);
  EXPECT_TRUE(fixture.read<hw::ICR>().has(hw::ICR::DOUTSYNC));
  EXPECT_EQ(fixture.read<hw::WVBR>().raw(), 1u);
  EXPECT_EQ(fixture.read<hw::WVBR>().raw(), 0u);
}

TEST_F(CardPools, DropsTagsOfVlansInWhichThePoolIsNot) {
  auto tagged = FunctionFixture::frame_between(kOwn, kForeign);
  const auto send_tagged = [&](std::uint8_t vlan) {
    auto frame = tagged;
    const std::array<std::byte, 4> tag{std::byte{0x81}, std::byte{0}, std::byte{0x60}, std::byte{vlan}};
    frame.insert(frame.begin() + 12, tag.begin(), tag.end());
    fixture.own_send(frame);
    return fixture.sent.size();
  };
  fixture.write<hw::VLVF>(3, hw::VLVF::VLANID(5) | hw::VLVF::POOLSEL(1) | hw::VLVF::VLANID_ENABLE);
  fixture.write<hw::VLVF>(4, hw::VLVF::VLANID(6) | hw::VLVF::POOLSEL(2) | hw::VLVF::VLANID_ENABLE);
  EXPECT_EQ(send_tagged(6), 1u) << "not checked";
  fixture.write<hw::DTXSWC>(fixture.read<hw::DTXSWC>().with(hw::DTXSWC::VLAN_SPOOF(1)));
  EXPECT_EQ(send_tagged(5), 2u);
  EXPECT_EQ(send_tagged(6), 2u) << "another pool's";
  EXPECT_EQ(send_tagged(7), 2u) << "nobody's";
  EXPECT_EQ(send_tagged(0), 3u) << "a priority tag";
  fixture.own_send(tagged);
  EXPECT_EQ(fixture.sent.size(), 4u) << "without a tag";
  EXPECT_EQ(fixture.card.transmitter().losses().foreign_vlan, 2u);
  EXPECT_EQ(fixture.card.transmitter().losses().forged, 0u);
  EXPECT_TRUE(fixture.read<hw::ICR>().has(hw::ICR::DOUTSYNC));
  EXPECT_EQ(fixture.read<hw::WVBR>().raw(), 1u);
  fixture.write<hw::VMVIR>(0, hw::VMVIR::TAG(6) | hw::VMVIR::ALWAYS_DEFAULT);
  fixture.own_send(tagged);
  EXPECT_EQ(fixture.sent.size(), 4u) << "the tag that the card inserts";
  fixture.write<hw::VMVIR>(0, hw::VMVIR::TAG(5) | hw::VMVIR::ALWAYS_DEFAULT);
  fixture.own_send(tagged);
  EXPECT_EQ(fixture.sent.size(), 5u);
}

TEST_F(CardPools, ObeysTheEnablesOfThePhysicalFunction) {
  fixture.write<hw::VFRE>(hw::VFRE::POOLS(0xFE));
  fixture.card.receive(FunctionFixture::frame(60, kOwn));
  EXPECT_EQ(received(), Counts(0, 0));
  fixture.write<hw::VFTE>(hw::VFTE::POOLS(0xFE));
  fixture.own_send(FunctionFixture::frame_between(kOwn, kForeign));
  EXPECT_TRUE(fixture.sent.empty());
  fixture.write<hw::VFTE>(hw::VFTE::POOLS(0xFF));
  EXPECT_EQ(fixture.sent.size(), 1u) << "frames wait meanwhile";
}

TEST_F(CardPools, SelectsPoolsByVlan) {
  const std::uint32_t kVlan = 5;
  fixture.write<hw::RCTL>(fixture.read<hw::RCTL>().with(hw::RCTL::VFE));
  fixture.write<hw::VFTA>(0, hw::VFTA::Value(1U << kVlan));
  fixture.write<hw::VLVF>(3, hw::VLVF::VLANID(kVlan) | hw::VLVF::POOLSEL(2) | hw::VLVF::VLANID_ENABLE);
  fixture.write<hw::VLVF>(4, hw::VLVF::VLANID(kVlan + 1) | hw::VLVF::POOLSEL(1) | hw::VLVF::VLANID_ENABLE);
  auto tagged = broadcast(kForeign);
  const std::array<std::byte, 4> tag{std::byte{0x81}, std::byte{0}, std::byte{0}, std::byte{kVlan}};
  tagged.insert(tagged.begin() + 12, tag.begin(), tag.end());
  fixture.card.receive(tagged);
  EXPECT_EQ(received(), Counts(0, 1));
  fixture.write<hw::VLVF>(3, hw::VLVF::VLANID(kVlan) | hw::VLVF::POOLSEL(3) | hw::VLVF::VLANID_ENABLE);
  fixture.write<hw::RPLOLR>(fixture.read<hw::RPLOLR>().with(hw::RPLOLR::STRVLAN));
  fixture.card.receive(tagged);
  EXPECT_EQ(received(), Counts(1, 2));
  EXPECT_EQ(intel::rx::vlan(fixture.own_memory.descriptor(CardFixture::kRxRing, 0).hi), kVlan);
  EXPECT_EQ(intel::rx::length(fixture.own_memory.descriptor(CardFixture::kRxRing, 0).hi), 60u);
  fixture.write<hw::VMOLR>(0, fixture.read<hw::VMOLR>(0).without(hw::VMOLR::AUPE));
  fixture.card.receive(broadcast(kForeign));
  EXPECT_EQ(received(), Counts(1, 3)) << "untagged frames need AUPE";
}

TEST_F(CardPools, InsertsThePoolsOwnTag) {
  fixture.write<hw::VMVIR>(0, hw::VMVIR::TAG(7) | hw::VMVIR::ALWAYS_DEFAULT);
  fixture.own_send(FunctionFixture::frame_between(kOwn, kForeign));
  ASSERT_EQ(fixture.sent.size(), 1u);
  EXPECT_EQ(fixture.sent[0].size(), 64u);
  EXPECT_EQ(fixture.sent[0][15], std::byte{7});
}

TEST_F(CardPools, LimitsTheLengthOfEachPool) {
  fixture.write<hw::RCTL>(fixture.read<hw::RCTL>().with(hw::RCTL::LPE));
  fixture.write<hw::VMOLR>(
      0, fixture.read<hw::VMOLR>(0).without(hw::VMOLR::RLPML).with(hw::VMOLR::LPE | hw::VMOLR::RLPML(1000)));
  fixture.card.receive(FunctionFixture::frame(997, kOwn));
  EXPECT_EQ(received(), Counts(0, 0));
  EXPECT_EQ(fixture.read<hw::ROC>().raw(), 1u);
  fixture.card.receive(FunctionFixture::frame(996, kOwn));
  EXPECT_EQ(received(), Counts(1, 0));
  auto longer = broadcast(kForeign);
  longer.resize(997);
  fixture.card.receive(longer);
  EXPECT_EQ(received(), Counts(1, 1)) << "the other pool has another limit";
}

TEST_F(CardPools, SpreadsAPoolOverItsTwoQueues) {
  EXPECT_EQ(fixture.card.receiver().pools().queue(1, 8), 1u);
  fixture.write<hw::MRQC>(hw::MRQC::VMDQ_RSS);
  EXPECT_EQ(fixture.card.receiver().pools().queue(1, 8), 1u);
  fixture.write<hw::VMOLR>(1, fixture.read<hw::VMOLR>(1).with(hw::VMOLR::RSSE));
  EXPECT_EQ(fixture.card.receiver().pools().queue(1, 8), 9u);
  EXPECT_EQ(fixture.card.receiver().pools().queue(1, 0), 1u);
}

}  // namespace
}  // namespace pollux::models::igb
