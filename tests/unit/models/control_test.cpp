// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <chrono>
#include <utility>

#include "hw/intel/igb/nvm.hpp"
#include "unit/models/bench_driver.hpp"

namespace pollux::models::igb {
namespace {

using namespace std::chrono_literals;
namespace mii = hw::phy;

TEST(CardReset, ClearsItselfAfterADelayAndReadsTheNvm) {
  Bench bench;
  bench.write<hw::RCTL>(hw::RCTL::RXEN);
  bench.write<hw::CTRL>(hw::CTRL::RST);
  EXPECT_TRUE(bench.read<hw::CTRL>().has(hw::CTRL::RST));
  EXPECT_EQ(bench.read<hw::RCTL>().raw(), 0u);
  bench.write<hw::RCTL>(hw::RCTL::RXEN);
  EXPECT_EQ(bench.read<hw::RCTL>().raw(), 0u) << "written during the reset";
  EXPECT_EQ(bench.card.writes_in_reset(), 1u);

  bench.pass(Card::kResetTime);
  EXPECT_FALSE(bench.read<hw::CTRL>().has(hw::CTRL::RST));
  EXPECT_FALSE(bench.read<hw::EECD>().has(hw::EECD::AUTO_RD));
  bench.pass(Card::kLoadTime);
  EXPECT_TRUE(bench.read<hw::EECD>().has(hw::EECD::AUTO_RD));
  EXPECT_TRUE(bench.read<hw::EEMNGCTL>().has(hw::EEMNGCTL::CFG_DONE_0));
  EXPECT_EQ(bench.read<hw::RAL>(0).raw(), 0x82000002u);
  EXPECT_EQ(bench.read<hw::RAH>(0), hw::RAH::Value(hw::RAH::AV | hw::RAH::ADDRESS(0x6057)));
}

TEST(CardReset, KeepsModerationOnlyInASoftwareReset) {
  Bench bench;
  bench.write<hw::EITR>(3, hw::EITR::INTERVAL(50));
  bench.write<hw::CTRL>(hw::CTRL::RST);
  bench.pass(Card::kResetTime);
  EXPECT_EQ(bench.read<hw::EITR>(3).get(hw::EITR::INTERVAL), 50u);
  bench.card.reset();
  bench.pass(Card::kResetTime);
  EXPECT_EQ(bench.read<hw::EITR>(3).get(hw::EITR::INTERVAL), 0u);
}

TEST(CardControl, MasterDisableTakesEffectAfterADelay) {
  Bench bench;
  EXPECT_TRUE(bench.read<hw::STATUS>().has(hw::STATUS::GIO_MASTER_ENABLE));
  bench.write<hw::CTRL>(bench.read<hw::CTRL>().with(hw::CTRL::GIO_MASTER_DISABLE));
  EXPECT_TRUE(bench.read<hw::STATUS>().has(hw::STATUS::GIO_MASTER_ENABLE));
  bench.pass(Control::kMasterDisableTime);
  EXPECT_FALSE(bench.read<hw::STATUS>().has(hw::STATUS::GIO_MASTER_ENABLE));
  EXPECT_FALSE(bench.card.dma().active());
  bench.write<hw::CTRL>(bench.read<hw::CTRL>().without(hw::CTRL::GIO_MASTER_DISABLE));
  EXPECT_TRUE(bench.read<hw::STATUS>().has(hw::STATUS::GIO_MASTER_ENABLE));
  EXPECT_TRUE(bench.card.dma().active());
}

// [I-M-NARROW]
TEST(CardControl, NarrowReadsArePartOfTheWordAndNarrowWritesAreIgnored) {
  Bench bench;
  const std::uint32_t rlpml = hw::RLPML::offset(0);
  bench.write<hw::RLPML>(hw::RLPML::Value(0x1234));
  EXPECT_EQ(bench.card.read(hw::kRegisterBar, rlpml + 1, 1), 0x12u);
  EXPECT_EQ(bench.card.read(hw::kRegisterBar, rlpml, 2), 0x1234u);
  bench.card.write(hw::kRegisterBar, rlpml, 1, 0);
  bench.card.write(hw::kRegisterBar, rlpml + 2, 2, 0xFFFF);
  EXPECT_EQ(bench.read<hw::RLPML>().raw(), 0x1234u);
  EXPECT_EQ(bench.card.narrow_writes(), 2u);
  bench.card.set_removed(true);
  EXPECT_EQ(bench.card.read(hw::kRegisterBar, rlpml + 1, 1), 0xFFu);
}

TEST(CardControl, ReadOnlyRegistersIgnoreWritesAndUnknownOffsetsReadZero) {
  Bench bench;
  std::size_t registers = 0;
  for (const RegisterInfo& info : hw::kRegisters) {
    if (info.access != Access::ro) continue;
    for (std::uint32_t i = 0; i < info.stride.count; ++i, ++registers) {
      const std::uint32_t before = bench.card.read32(hw::kRegisterBar, info.at(i));
      for (const std::uint32_t value : {~before, ~0u}) {
        bench.card.write32(hw::kRegisterBar, info.at(i), value);
        EXPECT_EQ(bench.card.read32(hw::kRegisterBar, info.at(i)), before) << info.name << " " << i;
      }
    }
  }
  EXPECT_GT(registers, 20u);
  EXPECT_EQ(bench.card.registers().unknown_accesses(), 0u);
  EXPECT_EQ(bench.card.read32(hw::kRegisterBar, 0x1FFF0), 0u);
  EXPECT_EQ(bench.card.read32(hw::kRegisterBar, 0x20000), 0u);
  EXPECT_EQ(bench.card.registers().unknown_accesses(), 2u);
}

TEST(CardControl, QueueRegistersHaveAliases) {
  Bench bench;
  bench.card.write32(hw::kRegisterBar, 0x2800 + 0x100 * 2, 0x12345680);
  EXPECT_EQ(bench.read<hw::RDBAL>(2).raw(), 0x12345680u);
  bench.write<hw::TDLEN>(3, hw::TDLEN::LEN(32));
  EXPECT_EQ(bench.card.read32(hw::kRegisterBar, 0x3808 + 0x100 * 3), 512u);
}

TEST(CardControl, RingBasesAndLengthsLoseTheirLowBits) {
  Bench bench;
  bench.write<hw::RDBAL>(5, hw::RDBAL::Value(0x1234567F));
  EXPECT_EQ(bench.read<hw::RDBAL>(5).raw(), 0x12345600u);
  bench.write<hw::TDLEN>(5, hw::TDLEN::Value(0xFFFFFFFF));
  EXPECT_EQ(bench.read<hw::TDLEN>(5).raw(), 0xFFFF0u) << "the mask of Linux's register test";
  bench.write<hw::RDLEN>(15, hw::RDLEN::Value(0x5A5A5A5A));
  EXPECT_EQ(bench.read<hw::RDLEN>(15).raw(), 0xA5A50u);
}

TEST(CardNvm, HasTheMacAddressAndAValidChecksum) {
  Bench bench;
  std::array<std::uint16_t, hw::nvm::kSummedWords> words{};
  for (std::uint32_t i = 0; i < words.size(); ++i) {
    bench.write<hw::EERD>(hw::EERD::START | hw::EERD::ADDR(i));
    EXPECT_FALSE(bench.read<hw::EERD>().has(hw::EERD::DONE));
    bench.pass(Nvm::kReadTime);
    ASSERT_TRUE(bench.read<hw::EERD>().has(hw::EERD::DONE));
    words[i] = static_cast<std::uint16_t>(bench.read<hw::EERD>().get(hw::EERD::DATA));
  }
  EXPECT_TRUE(hw::nvm::checksum_holds(words));
  EXPECT_EQ(words[0], 0x0002);
  EXPECT_EQ(words[2], 0x6057);
  EXPECT_EQ(words[hw::nvm::kDeviceId], 0x10C9);
}

TEST(CardNvm, NeverCompletesAReadBeyondItsEnd) {
  Bench bench;
  const auto answers = [&](std::uint32_t word) {
    bench.write<hw::EERD>(hw::EERD::START | hw::EERD::ADDR(word));
    bench.pass(1s);
    return bench.read<hw::EERD>().has(hw::EERD::DONE);
  };
  EXPECT_TRUE(answers(Nvm::kWords - 1));
  for (std::uint32_t word = Nvm::kWords; word <= hw::EERD::ADDR.max(); ++word) EXPECT_FALSE(answers(word)) << word;
}

TEST(CardSemaphores, ReadingTakesTheSoftwareSemaphore) {
  Bench bench;
  EXPECT_FALSE(bench.read<hw::SWSM>().has(hw::SWSM::SMBI));
  EXPECT_TRUE(bench.read<hw::SWSM>().has(hw::SWSM::SMBI));
  bench.write<hw::SWSM>(hw::SWSM::SMBI | hw::SWSM::SWESMBI);
  EXPECT_TRUE(bench.read<hw::SWSM>().has(hw::SWSM::SWESMBI));
  bench.write<hw::SWSM>(hw::SWSM::Value());
  EXPECT_FALSE(bench.read<hw::SWSM>().has(hw::SWSM::SMBI));
}

TEST(CardPhy, HasAnIdentifierAndRejectsUnknownRegisters) {
  Bench bench;
  const auto high = bench.phy_read(mii::kId1);
  EXPECT_TRUE(high.has(hw::MDIC::READY));
  const auto low = bench.phy_read(mii::kId2);
  const std::uint32_t id = high.get(hw::MDIC::DATA) << 16 | low.get(hw::MDIC::DATA);
  EXPECT_EQ(id & mii::kIdMask, mii::kId);
  EXPECT_TRUE(bench.phy_read(mii::kId1, 2).has(hw::MDIC::ERROR));
  EXPECT_TRUE(bench.phy_read(12).has(hw::MDIC::ERROR));
  EXPECT_TRUE(bench.phy_write(mii::kStatus, 0).has(hw::MDIC::ERROR));
  bench.write<hw::MDIC>(hw::MDIC::REGADD(mii::kId1) | hw::MDIC::PHYADD(mii::kAddress) | hw::MDIC::READ);
  EXPECT_FALSE(bench.read<hw::MDIC>().has(hw::MDIC::READY));
}

TEST(CardLink, ComesUpHalfASecondAfterNegotiationWasStarted) {
  Bench bench;
  bench.card.set_carrier(true);
  bench.write<hw::CTRL>(bench.read<hw::CTRL>().with(hw::CTRL::SLU));
  bench.pass(10s);
  EXPECT_FALSE(bench.read<hw::STATUS>().has(hw::STATUS::LU)) << "autonegotiation was not started";

  bench.phy_write(mii::kControl, mii::kControlAutonegotiate | mii::kControlRestart);
  bench.pass(499ms);
  EXPECT_FALSE(bench.read<hw::STATUS>().has(hw::STATUS::LU));
  bench.pass(1ms);
  const auto status = bench.read<hw::STATUS>();
  EXPECT_TRUE(status.has(hw::STATUS::LU | hw::STATUS::FD));
  EXPECT_EQ(status.get(hw::STATUS::SPEED), 2u);
  EXPECT_TRUE(bench.read<hw::ICR>().has(hw::ICR::LSC));
  EXPECT_NE(bench.phy_read(mii::kStatus).get(hw::MDIC::DATA) & mii::kStatusAutonegotiated, 0u);
}

TEST(CardLink, FollowsCarrierAndSlu) {
  Bench bench;
  bench.link_up();
  ASSERT_TRUE(bench.read<hw::STATUS>().has(hw::STATUS::LU));
  bench.card.set_carrier(false);
  EXPECT_FALSE(bench.read<hw::STATUS>().has(hw::STATUS::LU));
  bench.card.set_carrier(true);
  bench.pass(Phy::kNegotiationTime);
  EXPECT_TRUE(bench.read<hw::STATUS>().has(hw::STATUS::LU));
  EXPECT_EQ(bench.phy_read(mii::kStatus).get(hw::MDIC::DATA) & mii::kStatusLink, 0u) << "the loss is latched";
  EXPECT_NE(bench.phy_read(mii::kStatus).get(hw::MDIC::DATA) & mii::kStatusLink, 0u);
  bench.write<hw::CTRL>(bench.read<hw::CTRL>().without(hw::CTRL::SLU));
  EXPECT_FALSE(bench.read<hw::STATUS>().has(hw::STATUS::LU));
}

TEST(CardLink, NegotiatesTheBestModeThatSoftwareAdvertises) {
  Bench bench;
  bench.phy_write(mii::kGigabitControl, 0);
  bench.phy_write(mii::kAdvertise, mii::kSelector8023 | mii::k100Half);
  bench.link_up();
  const auto status = bench.read<hw::STATUS>();
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
    Bench bench;
    bench.card.phy().set_partner(part.partner);
    bench.link_up();
    const auto status = bench.read<hw::STATUS>();
    EXPECT_TRUE(status.has(hw::STATUS::LU));
    EXPECT_EQ(status.get(hw::STATUS::SPEED), part.speed);
    EXPECT_EQ(status.has(hw::STATUS::FD), part.full) << part.speed;
    EXPECT_EQ(bench.phy_read(mii::kPartner).get(hw::MDIC::DATA) & 0x0FFF, part.partner.abilities);
  }
}

TEST(CardLink, StaysDownWithoutACommonMode) {
  Bench bench;
  bench.card.phy().set_partner({.abilities = mii::k10Half, .gigabit_half = true, .gigabit_full = false});
  bench.phy_write(mii::kGigabitControl, mii::kGigabitFull);
  bench.phy_write(mii::kAdvertise, mii::kSelector8023 | mii::k100Full);
  bench.link_up();
  EXPECT_FALSE(bench.read<hw::STATUS>().has(hw::STATUS::LU));
}

TEST(CardLink, DetectsTheSpeedButNotTheDuplexModeOfAForcedPartner) {
  for (const auto& [ability, speed] : {std::pair{mii::k10Full, 0u}, std::pair{mii::k100Full, 1u}}) {
    Bench bench;
    bench.card.phy().set_partner({.abilities = ability, .negotiates = false});
    bench.link_up();
    const auto status = bench.read<hw::STATUS>();
    EXPECT_TRUE(status.has(hw::STATUS::LU));
    EXPECT_EQ(status.get(hw::STATUS::SPEED), speed);
    EXPECT_FALSE(status.has(hw::STATUS::FD));
    EXPECT_EQ(bench.phy_read(mii::kExpansion).get(hw::MDIC::DATA) & 1, 0u) << "the partner cannot negotiate";
  }
}

TEST(CardRemoval, ReadsAllOnesUntilTheCardReturns) {
  Bench bench;
  bench.link_up();
  bench.card.set_removed(true);
  EXPECT_TRUE(bench.read<hw::STATUS>().all_ones());
  bench.write<hw::RCTL>(hw::RCTL::RXEN);
  bench.card.set_removed(false);
  bench.pass(Card::kResetTime);
  EXPECT_EQ(bench.read<hw::RCTL>().raw(), 0u);
  EXPECT_FALSE(bench.read<hw::STATUS>().has(hw::STATUS::LU));
}

}  // namespace
}  // namespace pollux::models::igb
