// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <chrono>
#include <utility>

#include "hw/intel/igb/nvm.hpp"
#include "unit/models/card_fixture.hpp"

namespace pollux::models::igb {
namespace {

using namespace std::chrono_literals;
namespace mii = hw::phy;

TEST(CardReset, ClearsItselfAfterADelayAndReadsTheNvm) {
  CardFixture fixture;
  fixture.write<hw::RCTL>(hw::RCTL::RXEN);
  fixture.write<hw::CTRL>(hw::CTRL::RST);
  EXPECT_TRUE(fixture.read<hw::CTRL>().has(hw::CTRL::RST));
  EXPECT_EQ(fixture.read<hw::RCTL>().raw(), 0u);
  fixture.write<hw::RCTL>(hw::RCTL::RXEN);
  EXPECT_EQ(fixture.read<hw::RCTL>().raw(), 0u) << "written during the reset";
  EXPECT_EQ(fixture.card.writes_in_reset(), 1u);

  fixture.pass(Card::kResetTime);
  EXPECT_FALSE(fixture.read<hw::CTRL>().has(hw::CTRL::RST));
  EXPECT_FALSE(fixture.read<hw::EECD>().has(hw::EECD::AUTO_RD));
  fixture.pass(Card::kLoadTime);
  EXPECT_TRUE(fixture.read<hw::EECD>().has(hw::EECD::AUTO_RD));
  EXPECT_TRUE(fixture.read<hw::EEMNGCTL>().has(hw::EEMNGCTL::CFG_DONE_0));
  EXPECT_EQ(fixture.read<hw::RAL>(0).raw(), 0x82000002u);
  EXPECT_EQ(fixture.read<hw::RAH>(0), hw::RAH::Value(hw::RAH::AV | hw::RAH::ADDRESS(0x6057)));
}

TEST(CardReset, KeepsModerationOnlyInASoftwareReset) {
  CardFixture fixture;
  fixture.write<hw::EITR>(3, hw::EITR::INTERVAL(50));
  fixture.write<hw::CTRL>(hw::CTRL::RST);
  fixture.pass(Card::kResetTime);
  EXPECT_EQ(fixture.read<hw::EITR>(3).get(hw::EITR::INTERVAL), 50u);
  fixture.card.reset();
  fixture.pass(Card::kResetTime);
  EXPECT_EQ(fixture.read<hw::EITR>(3).get(hw::EITR::INTERVAL), 0u);
}

TEST(CardControl, MasterDisableTakesEffectAfterADelay) {
  CardFixture fixture;
  EXPECT_TRUE(fixture.read<hw::STATUS>().has(hw::STATUS::GIO_MASTER_ENABLE));
  fixture.write<hw::CTRL>(fixture.read<hw::CTRL>().with(hw::CTRL::GIO_MASTER_DISABLE));
  EXPECT_TRUE(fixture.read<hw::STATUS>().has(hw::STATUS::GIO_MASTER_ENABLE));
  fixture.pass(Control::kMasterDisableTime);
  EXPECT_FALSE(fixture.read<hw::STATUS>().has(hw::STATUS::GIO_MASTER_ENABLE));
  EXPECT_FALSE(fixture.card.dma().active());
  fixture.write<hw::CTRL>(fixture.read<hw::CTRL>().without(hw::CTRL::GIO_MASTER_DISABLE));
  EXPECT_TRUE(fixture.read<hw::STATUS>().has(hw::STATUS::GIO_MASTER_ENABLE));
  EXPECT_TRUE(fixture.card.dma().active());
}

// [I-M-NARROW]
TEST(CardControl, NarrowReadsArePartOfTheWordAndNarrowWritesAreIgnored) {
  CardFixture fixture;
  const std::uint32_t rlpml = hw::RLPML::offset(0);
  fixture.write<hw::RLPML>(hw::RLPML::Value(0x1234));
  EXPECT_EQ(fixture.card.read(hw::kRegisterBar, rlpml + 1, 1), 0x12u);
  EXPECT_EQ(fixture.card.read(hw::kRegisterBar, rlpml, 2), 0x1234u);
  fixture.card.write(hw::kRegisterBar, rlpml, 1, 0);
  fixture.card.write(hw::kRegisterBar, rlpml + 2, 2, 0xFFFF);
  EXPECT_EQ(fixture.read<hw::RLPML>().raw(), 0x1234u);
  EXPECT_EQ(fixture.card.narrow_writes(), 2u);
  fixture.card.set_removed(true);
  EXPECT_EQ(fixture.card.read(hw::kRegisterBar, rlpml + 1, 1), 0xFFu);
}

TEST(CardControl, ReadOnlyRegistersIgnoreWritesAndUnknownOffsetsReadZero) {
  CardFixture fixture;
  std::size_t registers = 0;
  for (const RegisterInfo& info : hw::kRegisters) {
    if (info.access != Access::ro) continue;
    for (std::uint32_t i = 0; i < info.stride.count; ++i, ++registers) {
      const std::uint32_t before = fixture.card.read32(hw::kRegisterBar, info.at(i));
      for (const std::uint32_t value : {~before, ~0u}) {
        fixture.card.write32(hw::kRegisterBar, info.at(i), value);
        EXPECT_EQ(fixture.card.read32(hw::kRegisterBar, info.at(i)), before) << info.name << " " << i;
      }
    }
  }
  EXPECT_GT(registers, 20u);
  EXPECT_EQ(fixture.card.registers().unknown_accesses(), 0u);
  EXPECT_EQ(fixture.card.read32(hw::kRegisterBar, 0x1FFF0), 0u);
  EXPECT_EQ(fixture.card.read32(hw::kRegisterBar, 0x20000), 0u);
  EXPECT_EQ(fixture.card.registers().unknown_accesses(), 2u);
}

TEST(CardControl, QueueRegistersHaveAliases) {
  CardFixture fixture;
  fixture.card.write32(hw::kRegisterBar, 0x2800 + 0x100 * 2, 0x12345680);
  EXPECT_EQ(fixture.read<hw::RDBAL>(2).raw(), 0x12345680u);
  fixture.write<hw::TDLEN>(3, hw::TDLEN::LEN(32));
  EXPECT_EQ(fixture.card.read32(hw::kRegisterBar, 0x3808 + 0x100 * 3), 512u);
}

TEST(CardControl, RingBasesAndLengthsLoseTheirLowBits) {
  CardFixture fixture;
  fixture.write<hw::RDBAL>(5, hw::RDBAL::Value(0x1234567F));
  EXPECT_EQ(fixture.read<hw::RDBAL>(5).raw(), 0x12345600u);
  fixture.write<hw::TDLEN>(5, hw::TDLEN::Value(0xFFFFFFFF));
  EXPECT_EQ(fixture.read<hw::TDLEN>(5).raw(), 0xFFFF0u) << "the mask of Linux's register test";
  fixture.write<hw::RDLEN>(15, hw::RDLEN::Value(0x5A5A5A5A));
  EXPECT_EQ(fixture.read<hw::RDLEN>(15).raw(), 0xA5A50u);
}

TEST(CardNvm, HasTheMacAddressAndAValidChecksum) {
  CardFixture fixture;
  std::array<std::uint16_t, hw::nvm::kSummedWords> words{};
  for (std::uint32_t i = 0; i < words.size(); ++i) {
    fixture.write<hw::EERD>(hw::EERD::START | hw::EERD::ADDR(i));
    EXPECT_FALSE(fixture.read<hw::EERD>().has(hw::EERD::DONE));
    fixture.pass(Nvm::kReadTime);
    ASSERT_TRUE(fixture.read<hw::EERD>().has(hw::EERD::DONE));
    words[i] = static_cast<std::uint16_t>(fixture.read<hw::EERD>().get(hw::EERD::DATA));
  }
  EXPECT_TRUE(hw::nvm::checksum_holds(words));
  EXPECT_EQ(words[0], 0x0002);
  EXPECT_EQ(words[2], 0x6057);
  EXPECT_EQ(words[hw::nvm::kDeviceId], 0x10C9);
}

TEST(CardNvm, NeverCompletesAReadBeyondItsEnd) {
  CardFixture fixture;
  const auto answers = [&](std::uint32_t word) {
    fixture.write<hw::EERD>(hw::EERD::START | hw::EERD::ADDR(word));
    fixture.pass(1s);
    return fixture.read<hw::EERD>().has(hw::EERD::DONE);
  };
  EXPECT_TRUE(answers(Nvm::kWords - 1));
  for (std::uint32_t word = Nvm::kWords; word <= hw::EERD::ADDR.max(); ++word) EXPECT_FALSE(answers(word)) << word;
}

TEST(CardSemaphores, ReadingTakesTheSoftwareSemaphore) {
  CardFixture fixture;
  EXPECT_FALSE(fixture.read<hw::SWSM>().has(hw::SWSM::SMBI));
  EXPECT_TRUE(fixture.read<hw::SWSM>().has(hw::SWSM::SMBI));
  fixture.write<hw::SWSM>(hw::SWSM::SMBI | hw::SWSM::SWESMBI);
  EXPECT_TRUE(fixture.read<hw::SWSM>().has(hw::SWSM::SWESMBI));
  fixture.write<hw::SWSM>(hw::SWSM::Value());
  EXPECT_FALSE(fixture.read<hw::SWSM>().has(hw::SWSM::SMBI));
}

TEST(CardPhy, HasAnIdentifierAndRejectsUnknownRegisters) {
  CardFixture fixture;
  const auto high = fixture.phy_read(mii::kId1);
  EXPECT_TRUE(high.has(hw::MDIC::READY));
  const auto low = fixture.phy_read(mii::kId2);
  const std::uint32_t id = high.get(hw::MDIC::DATA) << 16 | low.get(hw::MDIC::DATA);
  EXPECT_EQ(id & mii::kIdMask, mii::kId);
  EXPECT_TRUE(fixture.phy_read(mii::kId1, 2).has(hw::MDIC::ERROR));
  EXPECT_TRUE(fixture.phy_read(12).has(hw::MDIC::ERROR));
  EXPECT_TRUE(fixture.phy_write(mii::kStatus, 0).has(hw::MDIC::ERROR));
  fixture.write<hw::MDIC>(hw::MDIC::REGADD(mii::kId1) | hw::MDIC::PHYADD(mii::kAddress) | hw::MDIC::READ);
  EXPECT_FALSE(fixture.read<hw::MDIC>().has(hw::MDIC::READY));
}

TEST(CardLink, ComesUpHalfASecondAfterNegotiationWasStarted) {
  CardFixture fixture;
  fixture.card.set_carrier(true);
  fixture.write<hw::CTRL>(fixture.read<hw::CTRL>().with(hw::CTRL::SLU));
  fixture.pass(10s);
  EXPECT_FALSE(fixture.read<hw::STATUS>().has(hw::STATUS::LU)) << "autonegotiation was not started";

  fixture.phy_write(mii::kControl, mii::kControlAutonegotiate | mii::kControlRestart);
  fixture.pass(499ms);
  EXPECT_FALSE(fixture.read<hw::STATUS>().has(hw::STATUS::LU));
  fixture.pass(1ms);
  const auto status = fixture.read<hw::STATUS>();
  EXPECT_TRUE(status.has(hw::STATUS::LU | hw::STATUS::FD));
  EXPECT_EQ(status.get(hw::STATUS::SPEED), 2u);
  EXPECT_TRUE(fixture.read<hw::ICR>().has(hw::ICR::LSC));
  EXPECT_NE(fixture.phy_read(mii::kStatus).get(hw::MDIC::DATA) & mii::kStatusAutonegotiated, 0u);
}

TEST(CardLink, FollowsCarrierAndSlu) {
  CardFixture fixture;
  fixture.link_up();
  ASSERT_TRUE(fixture.read<hw::STATUS>().has(hw::STATUS::LU));
  fixture.card.set_carrier(false);
  EXPECT_FALSE(fixture.read<hw::STATUS>().has(hw::STATUS::LU));
  fixture.card.set_carrier(true);
  fixture.pass(Phy::kNegotiationTime);
  EXPECT_TRUE(fixture.read<hw::STATUS>().has(hw::STATUS::LU));
  EXPECT_EQ(fixture.phy_read(mii::kStatus).get(hw::MDIC::DATA) & mii::kStatusLink, 0u) << "the loss is latched";
  EXPECT_NE(fixture.phy_read(mii::kStatus).get(hw::MDIC::DATA) & mii::kStatusLink, 0u);
  fixture.write<hw::CTRL>(fixture.read<hw::CTRL>().without(hw::CTRL::SLU));
  EXPECT_FALSE(fixture.read<hw::STATUS>().has(hw::STATUS::LU));
}

TEST(CardLink, NegotiatesTheBestModeThatSoftwareAdvertises) {
  CardFixture fixture;
  fixture.phy_write(mii::kGigabitControl, 0);
  fixture.phy_write(mii::kAdvertise, mii::kSelector8023 | mii::k100Half);
  fixture.link_up();
  const auto status = fixture.read<hw::STATUS>();
  EXPECT_TRUE(status.has(hw::STATUS::LU));
  EXPECT_EQ(status.get(hw::STATUS::SPEED), 1u);
  EXPECT_FALSE(status.has(hw::STATUS::FD));
}

TEST(CardLink, NegotiatesTheBestCommonMode) {
  struct Case {
    LinkPartner partner;
    std::uint32_t speed;  // in the encoding of STATUS.SPEED
    bool full;
  };
  constexpr auto k10 = static_cast<std::uint16_t>(mii::k10Half | mii::k10Full);
  for (const Case& part :
       {Case{{}, 2, true}, Case{{.gigabit_full = false}, 2, false},
        Case{{.gigabit_half = false, .gigabit_full = false}, 1, true},
        Case{{.abilities = mii::k100Half | k10, .gigabit_half = false, .gigabit_full = false}, 1, false},
        Case{{.abilities = k10, .gigabit_half = false, .gigabit_full = false}, 0, true},
        Case{{.abilities = mii::k10Half, .gigabit_half = false, .gigabit_full = false}, 0, false}}) {
    CardFixture fixture;
    fixture.card.phy().set_partner(part.partner);
    fixture.link_up();
    const auto status = fixture.read<hw::STATUS>();
    EXPECT_TRUE(status.has(hw::STATUS::LU));
    EXPECT_EQ(status.get(hw::STATUS::SPEED), part.speed);
    EXPECT_EQ(status.has(hw::STATUS::FD), part.full) << part.speed;
    EXPECT_EQ(fixture.phy_read(mii::kPartner).get(hw::MDIC::DATA) & 0x0FFF, part.partner.abilities);
  }
}

TEST(CardLink, StaysDownWithoutACommonMode) {
  CardFixture fixture;
  fixture.card.phy().set_partner({.abilities = mii::k10Half, .gigabit_half = true, .gigabit_full = false});
  fixture.phy_write(mii::kGigabitControl, mii::kGigabitFull);
  fixture.phy_write(mii::kAdvertise, mii::kSelector8023 | mii::k100Full);
  fixture.link_up();
  EXPECT_FALSE(fixture.read<hw::STATUS>().has(hw::STATUS::LU));
}

TEST(CardLink, DetectsTheSpeedButNotTheDuplexModeOfAForcedPartner) {
  for (const auto& [ability, speed] : {std::pair{mii::k10Full, 0u}, std::pair{mii::k100Full, 1u}}) {
    CardFixture fixture;
    fixture.card.phy().set_partner({.abilities = ability, .negotiates = false});
    fixture.link_up();
    const auto status = fixture.read<hw::STATUS>();
    EXPECT_TRUE(status.has(hw::STATUS::LU));
    EXPECT_EQ(status.get(hw::STATUS::SPEED), speed);
    EXPECT_FALSE(status.has(hw::STATUS::FD));
    EXPECT_EQ(fixture.phy_read(mii::kExpansion).get(hw::MDIC::DATA) & 1, 0u) << "the partner cannot negotiate";
  }
}

TEST(CardRemoval, ReadsAllOnesUntilTheCardReturns) {
  CardFixture fixture;
  fixture.link_up();
  fixture.card.set_removed(true);
  EXPECT_TRUE(fixture.read<hw::STATUS>().all_ones());
  fixture.write<hw::RCTL>(hw::RCTL::RXEN);
  fixture.card.set_removed(false);
  fixture.pass(Card::kResetTime);
  EXPECT_EQ(fixture.read<hw::RCTL>().raw(), 0u);
  EXPECT_FALSE(fixture.read<hw::STATUS>().has(hw::STATUS::LU));
}

}  // namespace
}  // namespace pollux::models::igb
