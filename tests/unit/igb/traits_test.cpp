// SPDX-License-Identifier: BSD-3-Clause
// CardTraits describes how cards differ. A driver and a model work together with traits other than the 82576's.
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "drivers/intel/igb/port.hpp"
#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/flow/match.hpp"
#include "pollux/net/frame_stamps.hpp"
#include "pollux/net/port_clock.hpp"
#include "pollux/net/queue_pools.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

/// Like an I210: another PHY, and no alternate MAC address to read. The PHY's address and the NVM word of the checksum
/// are invented, and so are the filters and the clock. The PHY's identifier is from DPDK e1000, e1000_defines.h.
constexpr reg::CardTraits kOther{.id = 0x1533,
                                 .name = "other card",
                                 .queues = 4,
                                 .pools = 1,
                                 .ivar_distance = 1,
                                 .msix_vectors = 5,
                                 .exact_addresses = 16,
                                 .receive_buffer = 36 * 1024,
                                 .fastest_link = 2500,
                                 .filters = {.ether_types = 4, .five_tuples = 0, .low_queues = 2},
                                 .clock = {.shift = 18, .increment = 16U << 18},
                                 .phy = {.address = 3, .id = 0x01410C00},
                                 .nvm = {.alternate_mac_pointer = std::nullopt, .checksum = 0x4F}};

std::unique_ptr<PortMachine> open_as(IgbFixture& fixture, const reg::CardTraits& traits) {
  auto driver = IgbPort::open(fixture.context.state(), traits, fixture.device());
  return driver ? std::make_unique<PortMachine>(fixture.context.state(), *std::move(driver)) : nullptr;
}

TEST(CardTraits, ADriverAndAModelOfAnotherRowWorkTogether) {
  IgbFixture fixture({.traits = &kOther});
  auto port = open_as(fixture, kOther);
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(port->info().card, "Intel other card");
  EXPECT_EQ(port->info().limits.max_rx_queues, 4u);
  EXPECT_EQ(port->info().limits.packet_buffers.max.receive, 36u * 1024);
  EXPECT_EQ(port->info().limits.max_tx_rate, 2500u);
  EXPECT_FALSE(port->info().supports.test(Setting::pools)) << "one pool is none";
  ASSERT_TRUE(test::configure_port(*port, fixture.config()));
  ASSERT_TRUE(port->start());
  fixture.clock->advance(std::chrono::seconds(1));
  EXPECT_TRUE(port->link().up);
  EXPECT_FALSE(fixture.has_logged("unknown PHY"));
}

TEST(CardTraits, TheRowOfAnotherCardIsDetected) {
  IgbFixture fixture({.traits = &kOther});
  reg::CardTraits wrong = kOther;
  wrong.nvm = {};
  EXPECT_EQ(open_as(fixture, wrong), nullptr) << "the checksum is in another word";
  wrong = kOther;
  wrong.phy.id = reg::phy::kId;
  auto port = open_as(fixture, wrong);
  ASSERT_NE(port, nullptr);
  ASSERT_TRUE(test::configure_port(*port, fixture.config()));
  ASSERT_TRUE(port->start());
  EXPECT_TRUE(fixture.has_logged("unknown PHY"));
}

TEST(CardTraits, APhyIsReachedAtItsAddress) {
  IgbFixture fixture({.traits = &kOther});
  reg::CardTraits wrong = kOther;
  wrong.phy = {};
  auto port = open_as(fixture, wrong);
  ASSERT_NE(port, nullptr);
  ASSERT_TRUE(test::configure_port(*port, fixture.config()));
  const auto started = port->start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::device_fault);
}

// Linux, igb_main.c, igb_assign_vector: from the 82580 on an entry has the vectors of two consecutive queues.
TEST(CardTraits, TheRowSaysWhereTheVectorsOfQueuesAre) {
  IgbFixture fixture({.traits = &kOther}, {.count = 4096});
  auto port = open_as(fixture, kOther);
  ASSERT_NE(port, nullptr);
  Settings config = fixture.config();
  config.rx.resize(3, config.rx[0]);
  ASSERT_TRUE(test::configure_port(*port, config));
  ASSERT_TRUE(port->start());
  const reg::IVAR::Value first = fixture.value<reg::IVAR>(0);
  const reg::IVAR::Value second = fixture.value<reg::IVAR>(1);
  EXPECT_TRUE(first.has(reg::IVAR::RX_LOW_VALID | reg::IVAR::RX_HIGH_VALID));
  EXPECT_EQ(first.get(reg::IVAR::RX_HIGH), first.get(reg::IVAR::RX_LOW) + 1);
  EXPECT_EQ(second.get(reg::IVAR::RX_LOW), first.get(reg::IVAR::RX_LOW) + 2);
  EXPECT_FALSE(second.has(reg::IVAR::RX_HIGH_VALID));
  EXPECT_EQ(fixture.value<reg::IVAR>(2).raw(), 0u);
  fixture.clock->advance(std::chrono::seconds(1));
  static_cast<void>(port->rx_queue(0)->arm());
  ASSERT_TRUE(port->rx_queue(0)->arm());
  fixture.wire->inject(broadcast(64));
  EXPECT_FALSE(port->rx_queue(0)->arm()) << "the card finds the vector of queue 0";
}

TEST(CardTraits, TheRowSaysWhichFiltersThereAre) {
  IgbFixture fixture({.traits = &kOther}, {.count = 4096});
  auto port = open_as(fixture, kOther);
  ASSERT_NE(port, nullptr);
  Settings config = fixture.config();
  config.rx.resize(4, config.rx[0]);
  ASSERT_TRUE(test::configure_port(*port, config));
  const auto refusal = [&](const FlowRule& rule) {
    const auto added = test::add_rule(*port, rule);
    return added ? std::string() : added.error().message();
  };
  EXPECT_NE(refusal({match::ipv4().udp().destination_port(53), to_queue(1)}).find("the card has no five-tuple filters"),
            std::string::npos);
  EXPECT_NE(refusal({match::eth().type(0x9900), to_queue(2)}).find("reach queues 0 to 1, not 2"), std::string::npos);
  for (std::uint16_t i = 0; i < 4; ++i) {
    EXPECT_EQ(refusal({match::eth().type(static_cast<std::uint16_t>(0x9900 + i)), to_queue(1)}), "");
  }
  EXPECT_NE(refusal({match::eth().type(0x9904), to_queue(1)}).find("all 4 EtherType filters"), std::string::npos);

  const auto over_udp =
      port->change([](Settings& settings) { settings.stamps = {.receive = StampedMessages::ptp2_udp}; });
  ASSERT_FALSE(over_udp);
  EXPECT_EQ(over_udp.error().code, ErrorCode::not_supported);
  EXPECT_FALSE(port->change([](Settings& settings) { settings.stamps = {.receive = StampedMessages::ptp2_ethernet}; }))
      << "a rule has the last filter";
  ASSERT_TRUE(test::remove_rule(*port, port->settings().rules.rbegin()->first));
  EXPECT_TRUE(port->change([](Settings& settings) { settings.stamps = {.receive = StampedMessages::ptp2_ethernet}; }));
}

TEST(CardTraits, TheRowHasTheUnitOfTheClock) {
  IgbFixture fixture({.traits = &kOther});
  auto port = open_as(fixture, kOther);
  ASSERT_NE(port, nullptr);
  auto* const clock = port->capability<PortClock>();
  ASSERT_TRUE(test::run_clock(*port));
  const Time before = clock->time().value();
  fixture.clock->advance(std::chrono::seconds(3));
  EXPECT_NEAR(static_cast<double>((clock->time().value() - before).count()), 3e9, 100);
}

// On this card the NVM words in which an 82576 has an alternate address have another meaning.
TEST(CardTraits, ReadsNoAlternateAddressWhereTheCardHasNone) {
  IgbFixture fixture({.traits = &kOther});
  fixture.with_card([](models::igb::Card& card) {
    auto words = card.nvm().words();
    words[reg::nvm::kAlternateMacPointer] = 0x100;
    words[0x100] = 0x2202;
    words[0x101] = 0x4433;
    words[0x102] = 0x6655;
    words[0x4F] = reg::nvm::checksum_for(words.first(0x4F));
    return 0;
  });
  auto port = open_as(fixture, kOther);
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(port->mac(), (MacAddress{0x02, 0, 0, 0x82, 0x57, 0x60}));
}

}  // namespace
}  // namespace pollux::drivers::igb
