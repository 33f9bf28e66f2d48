// SPDX-License-Identifier: BSD-3-Clause
// The PHY as a driver finds it on silicon: an earlier owner has set its registers, a reset of the MAC does not change
// them, and the PHY at the other end has settings of its own.
#include <gtest/gtest.h>

#include <chrono>

#include "backends/sim/wire.hpp"
#include "unit/models/card_fixture.hpp"

namespace pollux::models::igb {
namespace {

using namespace std::chrono_literals;
namespace mii = hw::phy;

unsigned phy_value(CardFixture& fixture, std::uint32_t number) { return fixture.phy_read(number).get(hw::MDIC::DATA); }

TEST(CardPhyReset, IsNotPartOfASoftwareReset) {
  CardFixture fixture;
  fixture.link_up();
  fixture.phy_write(mii::kPortConfig, 0x1234);
  fixture.write<hw::CTRL>(hw::CTRL::RST);
  fixture.pass(Card::kResetTime + Card::kLoadTime);
  EXPECT_EQ(phy_value(fixture, mii::kPortConfig), 0x1234u);
  EXPECT_FALSE(fixture.read<hw::STATUS>().has(hw::STATUS::LU)) << "CTRL.SLU is clear";
  fixture.write<hw::CTRL>(fixture.read<hw::CTRL>().with(hw::CTRL::SLU));
  EXPECT_TRUE(fixture.read<hw::STATUS>().has(hw::STATUS::LU)) << "the PHY has kept its link";
  EXPECT_EQ(fixture.card.phy().link_losses(), 0u);
}

TEST(CardPhyReset, IsFollowedByAConfigurationDuringWhichNoAccessIsAnswered) {
  CardFixture fixture;
  fixture.link_up();
  fixture.write<hw::CTRL>(fixture.read<hw::CTRL>().with(hw::CTRL::PHY_RST));
  EXPECT_FALSE(fixture.read<hw::STATUS>().has(hw::STATUS::LU));
  EXPECT_FALSE(fixture.read<hw::EEMNGCTL>().has(hw::EEMNGCTL::CFG_DONE_0));
  fixture.pass(1s);
  EXPECT_FALSE(fixture.read<hw::EEMNGCTL>().has(hw::EEMNGCTL::CFG_DONE_0)) << "the reset is still active";
  fixture.write<hw::CTRL>(fixture.read<hw::CTRL>().without(hw::CTRL::PHY_RST));
  EXPECT_TRUE(fixture.phy_read(mii::kId1).has(hw::MDIC::READY | hw::MDIC::ERROR));
  EXPECT_EQ(fixture.card.phy().early_accesses(), 1u);
  fixture.pass(Phy::kConfigureTime);
  EXPECT_TRUE(fixture.read<hw::EEMNGCTL>().has(hw::EEMNGCTL::CFG_DONE_0 | hw::EEMNGCTL::CFG_DONE_3));
  EXPECT_FALSE(fixture.phy_read(mii::kId1).has(hw::MDIC::ERROR));
  EXPECT_EQ(phy_value(fixture, mii::kPowerManagement), 0u) << "another page is selected";
  fixture.phy_write(mii::kPageSelect, mii::kPowerManagement);
  EXPECT_NE(phy_value(fixture, mii::kPowerManagement) & mii::kLowPowerD0, 0u) << "from the NVM";
}

TEST(CardPhyReset, IsFollowedByTheSettingsOfTheNvm) {
  CardFixture fixture;
  fixture.card.phy().set_configuration({{mii::kGigabitControl, mii::kGigabitManualRole}, {mii::kPortConfig, 0x4321}});
  fixture.phy_reset();
  EXPECT_EQ(phy_value(fixture, mii::kGigabitControl), mii::kGigabitManualRole);
  EXPECT_EQ(phy_value(fixture, mii::kPortConfig), 0x4321u);
  EXPECT_EQ(phy_value(fixture, mii::kPowerManagement), 0u);
}

TEST(CardPhy, AnswersNoAccessWhileTheCardReadsItsNvm) {
  CardFixture fixture({.load_time = 50ms});
  fixture.write<hw::CTRL>(hw::CTRL::RST);
  fixture.pass(49ms);
  EXPECT_TRUE(fixture.phy_read(mii::kId1).has(hw::MDIC::ERROR));
  fixture.pass(2ms);
  EXPECT_FALSE(fixture.phy_read(mii::kId1).has(hw::MDIC::ERROR));
}

TEST(CardPhy, HasPagesFromRegister16On) {
  CardFixture fixture;
  fixture.phy_write(mii::kPageSelect, 3U << mii::kPageShift);
  fixture.phy_write(mii::kPortConfig, 0x4321);
  EXPECT_EQ(phy_value(fixture, mii::kPortConfig), 0u);
  EXPECT_EQ(phy_value(fixture, mii::kId1), mii::kId >> 16) << "not paged";
  fixture.phy_write(mii::kPageSelect, mii::kPortConfig);
  EXPECT_EQ(phy_value(fixture, mii::kPortConfig), 0x0120u);
  EXPECT_EQ(fixture.card.phy().other_pages(), 2u);
}

TEST(CardLink, IsSlowWithLowPowerLinkUp) {
  CardFixture fixture;
  fixture.phy_reset();
  fixture.link_up();
  EXPECT_EQ(fixture.read<hw::STATUS>().get(hw::STATUS::SPEED), 0u);
  fixture.phy_write(mii::kPageSelect, mii::kPowerManagement);
  fixture.phy_write(mii::kPowerManagement, 0);
  fixture.link_up();
  EXPECT_EQ(fixture.read<hw::STATUS>().get(hw::STATUS::SPEED), 2u);
}

TEST(CardLink, NeedsPairsThatCross) {
  CardFixture fixture;
  fixture.card.phy().set_partner({.crossover = LinkSignal::Crossover::mdi});
  fixture.link_up();
  EXPECT_FALSE(fixture.read<hw::STATUS>().has(hw::STATUS::LU));
  for (const auto control : {mii::kPortControlAutoMdix, mii::kPortControlMdix}) {
    fixture.phy_write(mii::kPortControl, control);
    fixture.link_up();
    EXPECT_TRUE(fixture.read<hw::STATUS>().has(hw::STATUS::LU)) << control;
  }
}

TEST(CardLink, NeedsAMasterAndASlaveForGigabit) {
  CardFixture fixture;
  fixture.card.phy().set_partner({.role = LinkSignal::Role::master});
  fixture.phy_write(mii::kGigabitControl, mii::kGigabitFull | mii::kGigabitManualRole | mii::kGigabitMaster);
  fixture.link_up();
  EXPECT_FALSE(fixture.read<hw::STATUS>().has(hw::STATUS::LU));
  EXPECT_NE(phy_value(fixture, mii::kGigabitStatus) & mii::kGigabitRoleFault, 0u);
  for (const unsigned role : {unsigned{mii::kGigabitManualRole}, 0U}) {
    fixture.phy_write(mii::kGigabitControl, static_cast<std::uint16_t>(mii::kGigabitFull | role));
    fixture.link_up();
    EXPECT_TRUE(fixture.read<hw::STATUS>().has(hw::STATUS::LU)) << role;
  }
}

// Linux, igb_ethtool.c, igb_integrated_phy_loopback, writes 0x4140.
TEST(CardPhy, LoopsFramesBack) {
  CardFixture fixture;
  fixture.start_rx();
  fixture.start_tx();
  fixture.card.set_carrier(false);
  fixture.phy_write(mii::kControl, 0x4140);
  fixture.write<hw::CTRL>(fixture.read<hw::CTRL>().with(hw::CTRL::SLU | hw::CTRL::FRCSPD | hw::CTRL::FRCDPX));
  EXPECT_TRUE(fixture.read<hw::STATUS>().has(hw::STATUS::LU));
  const auto frame = CardFixture::frame(60);
  std::memcpy(fixture.memory.at(CardFixture::buffer(0) + 0x8000), frame.data(), frame.size());
  fixture.memory.descriptor(CardFixture::kTxRing, 0) =
      intel::tx::data(CardFixture::buffer(0) + 0x8000, 60, 60, intel::tx::kEndOfPacket | intel::tx::kReportStatus);
  fixture.write<hw::TDT>(0, hw::TDT::TAIL(1));
  EXPECT_TRUE(fixture.sent.empty()) << "nothing reaches the wire";
  EXPECT_EQ(fixture.read<hw::RDH>(0).raw(), 1u);
}

/// Two cards on a wire, and the accesses of a driver to each.
struct PhyPair {
  PhyPair() {
    auto first = std::make_unique<Card>();
    auto second = std::make_unique<Card>();
    cards = {first.get(), second.get()};
    for (Card* card : cards) card->phy().restore_defaults();
    wire = sim::Wire::create(clock, std::move(first), std::move(second));
    for (const unsigned end : {0U, 1U}) phy_write(end, mii::kPortControl, mii::kPortControlAutoMdix);
  }
  template <class R>
  typename R::Value read(unsigned end) {
    return typename R::Value(
        wire->with_card(end, [](DeviceModel& card) { return card.read32(hw::kRegisterBar, R::offset(0)); }));
  }
  template <class R>
  void write(unsigned end, typename R::Value value) {
    wire->with_card(end, [&](DeviceModel& card) { card.write32(hw::kRegisterBar, R::offset(0), value.raw()); });
  }
  void phy_write(unsigned end, std::uint32_t number, std::uint16_t value) {
    write<hw::MDIC>(
        end, hw::MDIC::DATA(value) | hw::MDIC::REGADD(number) | hw::MDIC::PHYADD(mii::kAddress) | hw::MDIC::WRITE);
    clock.advance(Phy::kFrameTime);
  }
  void start(unsigned end) {
    write<hw::CTRL>(end, read<hw::CTRL>(end).with(hw::CTRL::SLU));
    phy_write(end, mii::kControl, mii::kControlAutonegotiate | mii::kControlRestart);
  }
  void set_phy_reset(unsigned end, bool active) {
    const auto control = read<hw::CTRL>(end);
    write<hw::CTRL>(end, active ? control.with(hw::CTRL::PHY_RST) : control.without(hw::CTRL::PHY_RST));
  }
  bool up(unsigned end) { return read<hw::STATUS>(end).has(hw::STATUS::LU); }
  std::uint32_t speed(unsigned end) { return read<hw::STATUS>(end).get(hw::STATUS::SPEED); }
  bool full(unsigned end) { return read<hw::STATUS>(end).has(hw::STATUS::FD); }

  ManualClock clock;
  std::array<Card*, 2> cards{};
  std::shared_ptr<sim::Wire> wire;
};

TEST(CardPhyPair, ComesUpOnBothSidesAtOnce) {
  PhyPair pair;
  pair.start(0);
  pair.clock.advance(Phy::kNegotiationTime);
  EXPECT_TRUE(pair.up(0)) << "the other side is as it was at power-on: an ordinary link partner";
  pair.set_phy_reset(1, true);
  EXPECT_FALSE(pair.up(0));
  pair.set_phy_reset(1, false);
  pair.clock.advance(1s);
  EXPECT_FALSE(pair.up(0)) << "the other side does not negotiate";
  pair.start(1);
  for (Duration passed{0}; passed < Phy::kNegotiationTime; passed += 10ms) {
    EXPECT_EQ(pair.up(0), pair.up(1));
    pair.clock.advance(10ms);
  }
  pair.clock.advance(1ms);
  EXPECT_TRUE(pair.up(0) && pair.up(1));
}

TEST(CardPhyPair, NegotiatesWhatBothAdvertise) {
  PhyPair pair;
  pair.phy_write(1, mii::kGigabitControl, 0);
  pair.phy_write(1, mii::kAdvertise, mii::kSelector8023 | mii::k100Half | mii::k10Full);
  pair.start(0);
  pair.start(1);
  pair.clock.advance(1s);
  for (const unsigned end : {0U, 1U}) {
    EXPECT_TRUE(pair.up(end));
    EXPECT_EQ(pair.speed(end), 1u);
    EXPECT_FALSE(pair.full(end));
  }
}

// 82575 manual, p. 264 (11.2).
TEST(CardPhyPair, FollowsAForcedModeByParallelDetection) {
  PhyPair pair;
  pair.start(0);
  pair.start(1);
  pair.clock.advance(1s);
  ASSERT_EQ(pair.speed(0), 2u);
  pair.phy_write(1, mii::kControl, mii::kControlSpeedLow | mii::kControlFullDuplex);
  EXPECT_FALSE(pair.up(0));
  pair.clock.advance(1s);
  EXPECT_TRUE(pair.up(0) && pair.up(1));
  EXPECT_EQ(pair.speed(0), 1u);
  EXPECT_FALSE(pair.full(0)) << "the duplex mode cannot be detected";
  EXPECT_TRUE(pair.full(1));
  pair.phy_write(1, mii::kControl, 0);
  pair.clock.advance(1s);
  EXPECT_EQ(pair.speed(0), 0u);
}

TEST(CardPhyPair, LosesTheLinkWhileOneSideIsPoweredDownOrLooped) {
  for (const unsigned control : {unsigned{mii::kControlPowerDown}, 0x4140U}) {
    PhyPair pair;
    pair.start(0);
    pair.start(1);
    pair.clock.advance(1s);
    ASSERT_TRUE(pair.up(0));
    pair.phy_write(1, mii::kControl, static_cast<std::uint16_t>(control));
    pair.clock.advance(1s);
    EXPECT_FALSE(pair.up(0)) << control;
    pair.start(1);
    pair.clock.advance(1s);
    EXPECT_TRUE(pair.up(0)) << control;
    EXPECT_EQ(pair.speed(0), 2u);
  }
}

TEST(CardPhyPair, LosesTheLinkWhenTheOtherCardIsRemoved) {
  PhyPair pair;
  pair.start(0);
  pair.clock.advance(1s);
  ASSERT_TRUE(pair.up(0));
  pair.wire->with_card(1, [](DeviceModel& card) { static_cast<Card&>(card).set_removed(true); });
  EXPECT_FALSE(pair.up(0));
  pair.wire->with_card(1, [](DeviceModel& card) { static_cast<Card&>(card).set_removed(false); });
  pair.clock.advance(1s);
  EXPECT_TRUE(pair.up(0));
}

}  // namespace
}  // namespace pollux::models::igb
