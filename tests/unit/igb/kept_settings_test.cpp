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
  ASSERT_TRUE(fixture_.port.set_promiscuous(true));
  ASSERT_TRUE(fixture_.port.resize_rx(0, 128));
  ASSERT_TRUE(fixture_.port.resize_tx(0, 128));
  EXPECT_TRUE(receives(to_another_));
  RxQueueConfig queue = fixture_.config.rx;
  queue.ring = 32;
  ASSERT_TRUE(fixture_.port.restart_rx(0, queue));
  EXPECT_TRUE(receives(to_another_));
}

TEST_F(KeptSettings, AnAddressAndPromiscuityThatAreSetBeforeTheStart) {
  CardFixture fixture({.start = false});
  const MacAddress own{2, 0, 0, 0, 0, 9};
  ASSERT_TRUE(fixture.port.configure(fixture.config));
  ASSERT_TRUE(fixture.port.set_mac(own));
  ASSERT_TRUE(fixture.port.set_promiscuous(true));
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
  PortConfig config = fixture.config;
  config.rx_queues = 2;
  ASSERT_TRUE(fixture.port.configure(config));
  ASSERT_TRUE(fixture.port.start());
  EXPECT_EQ(rss_of(fixture.port).table, table);
  EXPECT_NE(fixture.card.value<reg::RETA>().raw(), 0U);
}

// A table that names no queues follows their number.
TEST_F(KeptSettings, QueuesInTurnFollowTheirNumber) {
  CardFixture fixture({.start = false});
  for (const std::uint16_t queues : std::initializer_list<std::uint16_t>{4, 2}) {
    PortConfig config = fixture.config;
    config.rx_queues = queues;
    ASSERT_TRUE(fixture.port.configure(config));
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
    static_cast<void>(fixture_.port.set_mtu(mtu));  // some are refused
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
    ASSERT_TRUE(fixture_.port.set_promiscuous(on));
    ASSERT_TRUE(fixture_.port.set_all_multicast(on));
  }
  Frame frame = counting_frame(64);
  for (std::size_t i = 0; i < 6; ++i) frame[i] = static_cast<std::byte>(groups.back()[i]);
  EXPECT_TRUE(receives(frame));
  EXPECT_FALSE(receives(to_another_));
}

}  // namespace
}  // namespace pollux::test
