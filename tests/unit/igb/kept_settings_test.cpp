// SPDX-License-Identifier: BSD-3-Clause
// Settings that other drivers have lost, by what they were lost.
#include <gtest/gtest.h>

#include <chrono>
#include <vector>

#include "hw/intel/igb/phy.hpp"
#include "pollux/net/flow_control.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/rss.hpp"
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

namespace reg = hw::igb;
namespace mii = hw::igb::phy;
using std::chrono::seconds;

class KeptSettings : public testing::Test {
 protected:
  [[nodiscard]] bool receives(const Frame& frame) {
    fixture_.inject(frame);
    return fixture_.receive_all() == std::vector<Frame>{frame};
  }
  void pull_and_plug() {
    fixture_.wire->set_carrier(false);
    ASSERT_TRUE(fixture_.port.service());
    fixture_.wire->set_carrier(true);
    ASSERT_TRUE(fixture_.port.wait_for_link(seconds(5)));
  }

  CardFixture fixture_;
  const Frame broadcast_ = counting_frame(64);
  const Frame to_another_ = [] {
    Frame frame = counting_frame(64);
    for (std::size_t i = 0; i < 6; ++i) frame[i] = static_cast<std::byte>(2 * i);
    return frame;
  }();
};

TEST_F(KeptSettings, PromiscuityOutlivesNewRings) {
  ASSERT_TRUE(set_promiscuous(fixture_.port, true));
  ASSERT_TRUE(resize_rx(fixture_.port, 0, 128));
  ASSERT_TRUE(resize_tx(fixture_.port, 0, 128));
  EXPECT_TRUE(receives(to_another_));
  RxQueueConfig queue = fixture_.config.rx[0];
  queue.ring = 32;
  ASSERT_TRUE(restart_rx(fixture_.port, 0, queue));
  EXPECT_TRUE(receives(to_another_));
}

// What a program reads of the settings has no caches, and a ring that it left to the port.
TEST_F(KeptSettings, WhatWasReadChangesNothing) {
  const Settings read = fixture_.port.settings();
  EXPECT_FALSE(read.rx[0].cache);
  EXPECT_FALSE(read.tx[0].cache);
  fixture_.inject(broadcast_);
  ASSERT_TRUE(fixture_.port.change([&](Settings& settings) { settings = read; }));
  EXPECT_TRUE(fixture_.port.config().rx[0].given_cache);
  EXPECT_EQ(fixture_.receive_all().size(), 1U) << "no queue has restarted";
  CardFixture defaults({.port = {}, .start = false});
  ASSERT_TRUE(configure_port(defaults.port));
  EXPECT_EQ(defaults.port.settings().rx[0].ring, 512U);
  EXPECT_EQ(defaults.port.settings().tx[0].ring, 512U);
}

TEST_F(KeptSettings, WhatConcernsAllQueuesMayBeSetBeforeThereAreAny) {
  CardFixture fixture({.start = false});
  ASSERT_TRUE(fixture.port.change([](Settings& settings) { settings.keep_fcs = true; }));
  EXPECT_EQ(fixture.port.state(), PortState::opened);
  EXPECT_EQ(fixture.port.change([](Settings& settings) { settings.tx_timeout = Duration(1); }).error().code,
            ErrorCode::invalid_argument);
  ASSERT_TRUE(fixture.port.change([](Settings& settings) { settings.rx.resize(1); }));
  EXPECT_EQ(fixture.port.state(), PortState::configured);
  EXPECT_TRUE(fixture.port.settings().keep_fcs);
}

TEST_F(KeptSettings, AnAddressAndPromiscuityThatAreSetBeforeTheStart) {
  CardFixture fixture({.start = false});
  const MacAddress own{2, 0, 0, 0, 0, 9};
  ASSERT_TRUE(configure_port(fixture.port, fixture.config));
  ASSERT_TRUE(set_mac(fixture.port, own));
  ASSERT_TRUE(set_promiscuous(fixture.port, true));
  ASSERT_TRUE(fixture.port.start());
  EXPECT_EQ(fixture.port.mac(), own);
  EXPECT_TRUE(fixture.card.value<reg::RCTL>().has(reg::RCTL::UPE));
  EXPECT_EQ(fixture.card.value<reg::RAL>().raw(), 0x00000002U);
  EXPECT_EQ(fixture.card.value<reg::RAH>().raw() & 0xFFFF, 0x0900U);
}

TEST_F(KeptSettings, ATableThatIsSetBeforeTheStart) {
  CardFixture fixture({.start = false});
  std::vector<std::uint16_t> table(128, 1);
  ASSERT_TRUE(fixture.port.change([&](Settings& settings) { settings.rss = RssConfig{.table = table}; }))
      << "not yet configured";
  Settings config = fixture.config;
  config.rx.resize(2, config.rx[0]);
  ASSERT_TRUE(configure_port(fixture.port, config));
  ASSERT_TRUE(fixture.port.start());
  EXPECT_EQ(rss_of(fixture.port).table, table);
  EXPECT_NE(fixture.card.value<reg::RETA>().raw(), 0U);
}

// A table that names no queues follows their number.
TEST_F(KeptSettings, QueuesInTurnFollowTheirNumber) {
  CardFixture fixture({.start = false});
  for (const std::uint16_t queues : std::initializer_list<std::uint16_t>{4, 2}) {
    Settings config = fixture.config;
    config.rx.resize(queues, config.rx[0]);
    ASSERT_TRUE(configure_port(fixture.port, config));
    const std::vector<std::uint16_t> table = rss_of(fixture.port).table;
    for (std::size_t entry = 0; entry < table.size(); ++entry) EXPECT_EQ(table[entry], entry % queues);
  }
}

TEST_F(KeptSettings, ForcedPauseOutlivesTheCable) {
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.flow_control = {{true, true}, false}; }));
  for (int i = 0; i < 3; ++i) {
    pull_and_plug();
    const auto control = fixture_.card.value<reg::CTRL>();
    EXPECT_TRUE(control.has(reg::CTRL::RFCE) && control.has(reg::CTRL::TFCE)) << i;
    EXPECT_TRUE(receives(broadcast_)) << i;
  }
}

// Nor is it advertised: the link partner would send some.
TEST_F(KeptSettings, PauseThatIsOffStaysOff) {
  const auto advertised = [this] {
    const auto value = fixture_.port.capability<PhyRegisters>()->read_phy_register({.number = mii::kAdvertise});
    return value.value() & (mii::kPause | mii::kPauseAsymmetric);
  };
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.flow_control = {{true, true}}; }));
  ASSERT_TRUE(fixture_.port.wait_for_link(seconds(5)));
  EXPECT_NE(advertised(), 0);
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.flow_control = {}; }));
  ASSERT_TRUE(fixture_.port.wait_for_link(seconds(5)));
  pull_and_plug();
  EXPECT_EQ(advertised(), 0);
  EXPECT_FALSE(fixture_.card.value<reg::CTRL>().has(reg::CTRL::RFCE));
}

TEST_F(KeptSettings, ChangesOfFlowControlAndMtuDoNotStopReception) {
  for (const std::uint32_t mtu : {1500U, 9000U, 70'000U, 68U, 1U, 1500U}) {
    static_cast<void>(set_mtu(fixture_.port, mtu));  // some are refused
    EXPECT_TRUE(receives(broadcast_)) << mtu;
    const bool on = mtu > 1500;
    ASSERT_TRUE(fixture_.port.change([&](Settings& settings) { settings.flow_control = {{on, on}, false}; }));
    EXPECT_TRUE(receives(broadcast_)) << mtu;
  }
}

// More groups than are compared pass by their hash. That is no promiscuous mode which another call could end.
TEST_F(KeptSettings, ManyGroupsOutliveTheEndOfPromiscuity) {
  std::vector<MacAddress> groups;
  for (std::uint8_t i = 0; i < 100; ++i) groups.push_back({1, 0, 0x5E, 0, 0, i});
  ASSERT_TRUE(fixture_.port.change([&](Settings& settings) { settings.multicast = groups; }));
  for (const bool on : {true, false}) {
    ASSERT_TRUE(set_promiscuous(fixture_.port, on));
    ASSERT_TRUE(set_all_multicast(fixture_.port, on));
  }
  Frame frame = counting_frame(64);
  for (std::size_t i = 0; i < 6; ++i) frame[i] = static_cast<std::byte>(groups.back()[i]);
  EXPECT_TRUE(receives(frame));
  EXPECT_FALSE(receives(to_another_));
}

}  // namespace
}  // namespace pollux::test
