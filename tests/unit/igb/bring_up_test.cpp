// SPDX-License-Identifier: BSD-3-Clause
// The steps of bring-up that drivers on silicon take. The model does not work with a driver that omits one of them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "hw/intel/igb/phy.hpp"
#include "pollux/mem/burst.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

using testing::HasSubstr;

/// Sends a frame of 60 bytes. True if the card takes it.
bool sends(IgbFixture& fixture, PortMachine& port) {
  fixture.sent.clear();
  MbufPtr mbuf = fixture.pool.allocate();
  std::memset(mbuf->append(60), 0x5A, 60);
  Burst<1> burst;
  const bool queued = burst.push(mbuf) && port.tx_queue(0)->tx_burst(burst) == 1;
  fixture.clock->advance(std::chrono::milliseconds(1));
  return queued && fixture.sent.size() == 1;
}

TEST(BringUp, SetsTheCollisionDistanceOfHalfDuplexLinks) {
  IgbFixture fixture;
  const auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(fixture.value<reg::TCTL_EXT>().get(reg::TCTL_EXT::COLD), 63u);
}

// The firmware of a host may have enabled wake-up.
TEST(BringUp, DisablesWakeUp) {
  IgbFixture fixture;
  fixture.with_card([](models::igb::Card& card) {
    card.registers().set<reg::WUC>(reg::WUC::APME | reg::WUC::PME_EN);
    return 0;
  });
  const auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(fixture.value<reg::WUC>().raw(), 0u);
}

TEST(BringUp, RefusesACardWithoutAnEeprom) {
  IgbFixture fixture;
  fixture.faults->on_read = [](std::uint32_t offset) -> std::optional<std::uint32_t> {
    return offset == reg::EECD::offset() ? std::optional(reg::EECD::AUTO_RD.mask()) : std::nullopt;
  };
  const auto port = probe(fixture.context, fixture.device());
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::not_supported);
  EXPECT_THAT(port.error().what, HasSubstr("EEPROM"));
}

class CompletionTimeout : public testing::TestWithParam<unsigned> {};

// The card's default is 500 us to 1 ms, and memory behind several bridges may take longer.
TEST_P(CompletionTimeout, IsLongEnoughForSlowMemory) {
  IgbFixture fixture({.express_version = GetParam()});
  fixture.read_latency = std::chrono::milliseconds(5);
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  EXPECT_TRUE(sends(fixture, *port));
  EXPECT_FALSE(fixture.value<reg::GCR>().has(reg::GCR::COMPLETION_TIMEOUT_RESEND));
  EXPECT_EQ(fixture.with_card([](models::igb::Card& card) { return card.dma().completion_timeouts(); }), 0u);
}

INSTANTIATE_TEST_SUITE_P(ExpressVersions, CompletionTimeout, testing::Values(1u, 2u));

TEST(BringUp, KeepsACompletionTimeoutThatTheHostHasSet) {
  constexpr std::uint32_t kDeviceControl2 = sim::ConfigSpace::kDeviceControl2;
  IgbFixture fixture;
  auto device = fixture.device();
  Device& card = *device;
  auto driver = probe(fixture.context, std::move(device));
  ASSERT_TRUE(driver);
  EXPECT_EQ(card.read_config(kDeviceControl2, 2).value(), 0x5u) << "16 to 55 ms instead of the default";
  ASSERT_TRUE(card.write_config(kDeviceControl2, 2, 0x1A));
  PortMachine port(fixture.context.state(), *std::move(driver));
  ASSERT_TRUE(test::configure_port(port, fixture.config()));
  ASSERT_TRUE(port.start());
  EXPECT_EQ(card.read_config(kDeviceControl2, 2).value(), 0x1Au);
}

// The model abandons reads that take longer than the time that is set.
TEST(BringUp, AShortCompletionTimeoutLosesFrames) {
  IgbFixture fixture;
  fixture.read_latency = std::chrono::milliseconds(17);
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  EXPECT_FALSE(sends(fixture, *port));
  EXPECT_GT(fixture.with_card([](models::igb::Card& card) { return card.dma().completion_timeouts(); }), 0u);
}

namespace mii = hw::igb::phy;
using std::chrono::milliseconds;

/// Number of accesses to the PHY that a correct driver does not make.
std::uint64_t phy_mistakes(IgbFixture& fixture) {
  return fixture.with_card(
      [](models::igb::Card& card) { return card.phy().early_accesses() + card.phy().other_pages(); });
}

/// Starts a port, which must have the best link and make no mistake with the PHY.
void expect_best_link(IgbFixture& fixture) {
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(to_string(port->link()), "up, 1000 Mb/s, full duplex");
  EXPECT_EQ(phy_mistakes(fixture), 0u);
}

// An earlier owner has left a forced mode, forced roles and pairs, low-power link-up and another page of registers. A
// reset of the MAC does not change them.
TEST(BringUp, GetsTheBestLinkFromAPhyThatOthersHaveUsed) {
  for (const auto pairs : {LinkSignal::Crossover::mdi, LinkSignal::Crossover::mdix}) {
    IgbFixture fixture;
    fixture.with_card([pairs](models::igb::Card& card) {
      card.phy().set_partner({.crossover = pairs, .role = LinkSignal::Role::master});
      return 0;
    });
    expect_best_link(fixture);
  }
}

// The NVM of a card may set any register of the PHY after a reset of it.
TEST(BringUp, GetsTheBestLinkFromAPhyThatTheNvmHasConfigured) {
  constexpr unsigned kMaster = mii::kGigabitManualRole | mii::kGigabitMaster | mii::kGigabitFull;
  IgbFixture fixture;
  fixture.with_card([](models::igb::Card& card) {
    card.phy().set_configuration({{mii::kGigabitControl, kMaster},
                                  {mii::kAdvertise, mii::kSelector8023 | mii::k10Half},
                                  {mii::kPortControl, mii::kPortControlMdix},
                                  {mii::kPowerManagement, mii::kLowPowerD0},
                                  {mii::kPageSelect, 3U << mii::kPageShift}});
    card.phy().set_partner({.crossover = LinkSignal::Crossover::mdix, .role = LinkSignal::Role::master});
    return 0;
  });
  expect_best_link(fixture);
}

// Before that, what the driver writes may be overwritten.
TEST(BringUp, WritesNoQueueRegisterBeforeTheNvmIsLoaded) {
  IgbFixture fixture({.load_time = milliseconds(19)});
  unsigned early = 0;
  unsigned all = 0;
  fixture.faults->discards = [&](std::uint32_t offset, std::uint32_t /*value*/) {
    if (offset != reg::RXDCTL::offset(0) && offset != reg::TXDCTL::offset(0)) return false;
    ++all;
    if (!fixture.value<reg::EECD>().has(reg::EECD::AUTO_RD)) ++early;
    return false;
  };
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  EXPECT_GT(all, 0u);
  EXPECT_EQ(early, 0u);
}

TEST(BringUp, GetsTheBestLinkAtEveryStart) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  ASSERT_TRUE(port->stop());
  ASSERT_TRUE(port->start());
  EXPECT_FALSE(port->link().up) << "the PHY was reset";
  fixture.clock->advance(std::chrono::seconds(1));
  EXPECT_EQ(to_string(port->link()), "up, 1000 Mb/s, full duplex");
  EXPECT_EQ(phy_mistakes(fixture), 0u);
}

/// Lets firmware set up a link of 100 Mb/s and hold it.
void begin_session(IgbFixture& fixture) {
  const auto phy_write = [&](std::uint32_t number, std::uint16_t value) {
    fixture.with_card([&](models::igb::Card& card) {
      card.write32(reg::kRegisterBar, reg::MDIC::offset(),
                   reg::MDIC::Value(reg::MDIC::WRITE | reg::MDIC::REGADD(number) | reg::MDIC::PHYADD(mii::kAddress) |
                                    reg::MDIC::DATA(value))
                       .raw());
      return 0;
    });
    fixture.clock->advance(milliseconds(1));
  };
  phy_write(mii::kPageSelect, mii::kPowerManagement);
  phy_write(mii::kPowerManagement, 0);
  phy_write(mii::kAdvertise, mii::kSelector8023 | mii::k100Full);
  phy_write(mii::kGigabitControl, 0);
  phy_write(mii::kControl, mii::kControlAutonegotiate | mii::kControlRestart);
  fixture.clock->advance(std::chrono::seconds(1));
  fixture.with_card([](models::igb::Card& card) {
    EXPECT_TRUE(card.phy().link_up());
    card.registers().set<reg::MANC>(reg::MANC::BLK_PHY_RST_ON_IDE);
    return 0;
  });
}

// 82575 manual, p. 41 (3.8.1).
TEST(BringUp, LeavesTheLinkOfAManagementSessionAlone) {
  IgbFixture fixture;
  begin_session(fixture);
  auto port = fixture.open();
  ASSERT_NE(port, nullptr);
  ASSERT_TRUE(test::configure_port(*port, fixture.config()));
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(port->start());
    EXPECT_EQ(to_string(port->link()), "up, 100 Mb/s, full duplex");
    EXPECT_TRUE(sends(fixture, *port));
    ASSERT_TRUE(port->stop());
  }
  ASSERT_TRUE(port->close());
  fixture.with_card([](models::igb::Card& card) {
    EXPECT_EQ(card.phy().disturbed_sessions(), 0u);
    EXPECT_EQ(card.phy().link_losses(), 0u);
    return 0;
  });
  EXPECT_TRUE(fixture.has_logged("MANC.BLK_PHY_RST_ON_IDE"));
}

struct LateLoad {
  int milliseconds;
  std::uint32_t port;
};
void PrintTo(const LateLoad& part, std::ostream* out) { *out << part.milliseconds << " ms, port " << part.port; }

class NvmLoad : public testing::TestWithParam<LateLoad> {};

// The card reads its NVM again after each reset. Until then RAL[0] has no address, and afterwards it has the NVM's.
TEST_P(NvmLoad, IsNeverTooLateForTheAddressAndTheLink) {
  const MacAddress own{0x02, 0x00, 0x00, 0x82, 0x57, 0x67};
  IgbFixture fixture({.mac = own, .lan_id = GetParam().port, .load_time = milliseconds(GetParam().milliseconds)});
  auto port = fixture.open();
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(port->mac(), own);
  ASSERT_TRUE(test::set_mac(*port, {0x02, 1, 2, 3, 4, 5}));
  ASSERT_TRUE(test::configure_port(*port, fixture.config()));
  ASSERT_TRUE(port->start());
  fixture.clock->advance(std::chrono::seconds(1));
  EXPECT_EQ(to_string(port->link()), "up, 1000 Mb/s, full duplex");
  EXPECT_EQ(fixture.value<reg::RAL>(0).raw(), 0x03020102u) << "the address that was set";
  EXPECT_EQ(phy_mistakes(fixture), 0u);
}

std::vector<LateLoad> late_loads() {
  std::vector<LateLoad> all;
  for (int time = 0; time <= 200; time += 10) {
    for (std::uint32_t port = 0; port < 2; ++port) all.push_back({time, port});
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(Times, NvmLoad, testing::ValuesIn(late_loads()), [](const auto& part) {
  return fmt::format("{}msPort{}", part.param.milliseconds, part.param.port);
});

// A card may answer reads of its NVM before it has loaded its address from there.
TEST(Nvm, HasTheAddressThatTheCardHasNotLoaded) {
  for (const std::uint32_t lan_id : {0U, 1U}) {
    const MacAddress own{0x02, 0x12, 0x34, 0x56, 0x78, 0x9A};
    IgbFixture fixture({.mac = own, .lan_id = lan_id});
    fixture.faults->on_read = [](std::uint32_t offset) -> std::optional<std::uint32_t> {
      const bool address = offset == reg::RAL::offset(0) || offset == reg::RAH::offset(0);
      return address ? std::optional(0U) : std::nullopt;
    };
    auto port = fixture.open();
    ASSERT_NE(port, nullptr);
    EXPECT_EQ(port->mac(), own) << lan_id;
  }
}

TEST(Nvm, MayTakeHalfASecondForAWord) {
  IgbFixture fixture;
  fixture.with_card([](models::igb::Card& card) {
    card.nvm().set_read_time(milliseconds(499));
    return 0;
  });
  EXPECT_NE(fixture.open(), nullptr);
}

// The other port and firmware take the NVM away from an owner that holds it for a second.
TEST(Nvm, IsGivenToOthersBetweenSlowWords) {
  IgbFixture fixture;
  fixture.with_card([](models::igb::Card& card) {
    card.nvm().set_read_time(milliseconds(300));
    return 0;
  });
  Duration since{0};
  Duration longest{0};
  fixture.faults->discards = [&](std::uint32_t offset, std::uint32_t value) {
    if (offset == reg::SW_FW_SYNC::offset()) {
      const bool taken = (value & reg::SW_FW_SYNC::SW_EEP.mask()) != 0;
      if (!taken) longest = std::max(longest, fixture.clock->now() - since);
      since = fixture.clock->now();
    }
    return false;
  };
  ASSERT_NE(fixture.open(), nullptr);
  EXPECT_GT(longest, milliseconds(299));
  EXPECT_LT(longest, milliseconds(1000));
}

TEST(Nvm, IsReadAgainAfterABadChecksum) {
  IgbFixture fixture;
  fixture.faults->on_read = [&, first = true](std::uint32_t offset) mutable -> std::optional<std::uint32_t> {
    if (offset != reg::EERD::offset() || !std::exchange(first, false)) return std::nullopt;
    return (reg::EERD::DONE | reg::EERD::DATA(0xBAD)).bits();
  };
  EXPECT_NE(fixture.open(), nullptr);
  EXPECT_TRUE(fixture.has_logged("checksum"));
}

}  // namespace
}  // namespace pollux::drivers::igb
