// SPDX-License-Identifier: BSD-3-Clause
// Pools of receive queues, on the in-process card. tests/conformance/pools_test.cpp has which frames they get.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/flow/match.hpp"
#include "pollux/net/queue_pools.hpp"
#include "pollux/net/rss.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

namespace reg = hw::igb;

class PortPools : public testing::Test {
 protected:
  [[nodiscard]] static MacAddress address(std::uint8_t number) { return {0x02, 0x50, 0, 0, 0, number}; }
  [[nodiscard]] static Frame frame_to(const MacAddress& to, std::size_t bytes = 64) {
    Frame frame = counting_frame(bytes);
    std::transform(to.begin(), to.end(), frame.begin(), [](std::uint8_t byte) { return std::byte{byte}; });
    return frame;
  }
  [[nodiscard]] static Settings two_queues() { return {.rx = {2, {.ring = 64}}, .tx = {2, {.ring = 64}}}; }
  [[nodiscard]] Result<void> set(const QueuePoolsConfig& pools) {
    return fixture_.port.change([&](Settings& settings) { settings.pools = pools; });
  }
  [[nodiscard]] ErrorCode refusal(const QueuePoolsConfig& pools) {
    const auto refused = set(pools);
    EXPECT_FALSE(refused);
    return refused ? ErrorCode::not_found : refused.error().code;
  }
  void start(const Settings& config = two_queues()) {
    Settings wanted = config;
    use_pool(wanted, fixture_.pool);
    ASSERT_TRUE(configure_port(fixture_.port, wanted));
    start_again();
  }
  void start_again() {
    ASSERT_TRUE(fixture_.port.start());
    ASSERT_TRUE(fixture_.port.wait_for_link(std::chrono::seconds(5)));
  }
  /// The number of frames that each queue gets.
  [[nodiscard]] std::array<std::uint32_t, 2> counts(const std::vector<Frame>& frames) {
    for (const Frame& frame : frames) fixture_.inject(frame);
    std::array<std::uint32_t, 2> result{};
    for (std::uint16_t queue = 0; queue < 2; ++queue) {
      Burst<32> burst;
      result[queue] = fixture_.port.rx(queue).rx_burst(burst);
    }
    return result;
  }
  using Counts = std::array<std::uint32_t, 2>;

  CardFixture fixture_{{.start = false}};
  const QueuePoolsConfig two_{.pools = {{.addresses = {address(0)}}, {.addresses = {address(1)}}}};
};

TEST_F(PortPools, OutliveRestartsAndChangesOfTheAddress) {
  ASSERT_TRUE(set(two_));
  start();
  EXPECT_EQ(fixture_.port.settings().pools, two_);
  EXPECT_EQ(counts({frame_to(address(0)), frame_to(address(1)), frame_to(address(1))}), Counts({1, 2}));
  ASSERT_TRUE(set_mac(fixture_.port, address(9)));
  EXPECT_EQ(counts({frame_to(address(9))}), Counts({1, 0})) << "the own address is the default pool's";
  ASSERT_TRUE(fixture_.port.stop());
  start_again();
  EXPECT_EQ(counts({frame_to(address(9)), frame_to(address(1))}), Counts({1, 1}));
  ASSERT_TRUE(fixture_.port.stop());
  ASSERT_TRUE(set({}));
  start_again();
  EXPECT_EQ(fixture_.card.value<reg::MRQC>().get(reg::MRQC::ENABLE), 2u) << "RSS again";
  EXPECT_EQ(counts({frame_to(address(9)), frame_to(address(1))}), Counts({1, 0}));
}

TEST_F(PortPools, WithoutReplicationOneGetsAGroupFrame) {
  QueuePoolsConfig pools = two_;
  pools.pools[0].broadcasts = pools.pools[1].broadcasts = true;
  pools.default_pool = 1;
  pools.replication = false;
  ASSERT_TRUE(set(pools));
  start();
  EXPECT_EQ(counts({counting_frame(64)}), Counts({0, 1}));
  ASSERT_TRUE(fixture_.port.stop());
  pools.replication = true;
  ASSERT_TRUE(set(pools));
  start_again();
  EXPECT_EQ(counts({counting_frame(64)}), Counts({1, 1}));
}

TEST_F(PortPools, TheDefaultPoolGetsUnknownAddressesInPromiscuousMode) {
  QueuePoolsConfig pools = two_;
  pools.default_pool = 1;
  ASSERT_TRUE(set(pools));
  start();
  EXPECT_EQ(counts({frame_to(address(7))}), Counts({0, 0}));
  ASSERT_TRUE(set_promiscuous(fixture_.port, true));
  EXPECT_EQ(counts({frame_to(address(7))}), Counts({0, 1}));
  const MacAddress group{0x03, 0, 0, 0, 0, 1};
  EXPECT_EQ(counts({frame_to(group)}), Counts({1, 1}));
  ASSERT_TRUE(fixture_.port.stop());
  pools.default_pool.reset();
  ASSERT_TRUE(set(pools));
  start_again();
  EXPECT_EQ(counts({frame_to(address(7)), frame_to(fixture_.port.mac())}), Counts({0, 0}));
}

// A tag with VLAN 0 has a priority alone, so the frame is one without a VLAN (IEEE 802.1Q).
TEST_F(PortPools, TakeAPriorityAloneForNoVlan) {
  const auto tagged = [](Frame frame, std::uint8_t priority, std::uint8_t vlan) {
    const std::array<std::byte, 4> tag{std::byte{0x81}, {}, static_cast<std::byte>(priority << 5), std::byte{vlan}};
    frame.insert(frame.begin() + 12, tag.begin(), tag.end());
    return frame;
  };
  QueuePoolsConfig pools = two_;
  pools.pools[0].broadcasts = pools.pools[1].broadcasts = true;
  pools.pools[0].vlans = pools.pools[1].vlans = {5};
  pools.pools[1].untagged = false;
  pools.default_pool = {};
  ASSERT_TRUE(set(pools));
  start();
  for (const std::uint8_t priority : std::array<std::uint8_t, 3>{0, 3, 7}) {
    EXPECT_EQ(counts({tagged(frame_to(address(0)), priority, 0)}), Counts({1, 0}));
    EXPECT_EQ(counts({tagged(frame_to(address(1)), priority, 0)}), Counts({0, 0}));
    EXPECT_EQ(counts({tagged(counting_frame(64), priority, 0)}), Counts({1, 0}));
    EXPECT_EQ(counts({tagged(counting_frame(64), priority, 5)}), Counts({1, 1}));
  }
}

TEST_F(PortPools, FollowTheOtherSettings) {
  ASSERT_TRUE(set({.pools = {{.addresses = {address(0)}, .vlans = {42}}, {.addresses = {address(1)}}}}));
  Settings config = two_queues();
  config.keep_fcs = true;
  start(config);
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.vlan_stripping = true; }));
  Frame tagged = frame_to(address(0));
  const std::array<std::byte, 4> tag{std::byte{0x81}, std::byte{0}, std::byte{0x60}, std::byte{42}};
  tagged.insert(tagged.begin() + 12, tag.begin(), tag.end());
  fixture_.inject(tagged);
  Burst<32> burst = fixture_.rx_burst();
  ASSERT_EQ(burst.size(), 1u);
  EXPECT_EQ(burst[0].packet_length(), 64u + 4) << "without the tag, with the FCS";
  EXPECT_EQ(RxMetadata(burst[0]).vlan(), 0x602A);
  burst = {};
  EXPECT_EQ(counts({frame_to(address(1), 1519), frame_to(address(0), 1518)}), Counts({1, 0}));
  ASSERT_TRUE(set_mtu(fixture_.port, 1600));
  EXPECT_EQ(counts({frame_to(address(1), 1519)}), Counts({0, 1}));
}

TEST_F(PortPools, ThatTheCardCannotHaveAreRejected) {
  QueuePoolsConfig pools = two_;
  pools.pools[1].addresses.push_back(address(0));
  EXPECT_EQ(refusal(pools), ErrorCode::invalid_argument) << "an address twice";
  pools = two_;
  pools.default_pool = 2;
  EXPECT_EQ(refusal(pools), ErrorCode::invalid_argument);
  pools = two_;
  pools.pools[0].untagged = false;
  EXPECT_EQ(refusal(pools), ErrorCode::invalid_argument);
  pools.pools[0].vlans = {4095};
  EXPECT_EQ(refusal(pools), ErrorCode::invalid_argument);
  for (std::uint16_t vlan = 1; vlan <= 33; ++vlan) pools.pools[vlan % 2].vlans.push_back(vlan);
  pools.pools[0].vlans.erase(pools.pools[0].vlans.begin());
  EXPECT_EQ(refusal(pools), ErrorCode::invalid_argument) << "33 VLANs";
  pools = two_;
  for (std::uint8_t number = 2; number < 24; ++number) pools.pools[0].addresses.push_back(address(number));
  EXPECT_EQ(refusal(pools), ErrorCode::invalid_argument) << "24 addresses";
  pools.pools[0].addresses.pop_back();
  EXPECT_TRUE(set(pools));
  EXPECT_EQ(refusal({.pools = std::vector<QueuePool>(9)}), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal({.pools = {{.addresses = {MacAddress{}}}}}), ErrorCode::invalid_argument);
  EXPECT_EQ(fixture_.port.settings().pools, pools) << "a refused call changes nothing";
  Settings one = two_queues();
  one.rx.resize(1, one.rx[0]);
  one.rx[0].pool = fixture_.pool;
  EXPECT_FALSE(configure_port(fixture_.port, one)) << "fewer queues than pools";
}

TEST_F(PortPools, HaveTwoQueuesAtMost) {
  QueuePoolsConfig pools = two_;
  pools.pools[1].queues = 0;
  EXPECT_EQ(refusal(pools), ErrorCode::invalid_argument);
  pools.pools[1].queues = 3;
  EXPECT_EQ(refusal(pools), ErrorCode::invalid_argument);
  pools.pools[1].queues = 2;
  ASSERT_TRUE(set(pools));
  Settings config = two_queues();
  config.rx[0].pool = fixture_.pool;
  config.rx.resize(9, config.rx[0]);
  EXPECT_FALSE(configure_port(fixture_.port, config)) << "pool 1 needs queue 9";
  config.rx.resize(10, config.rx[0]);
  EXPECT_TRUE(configure_port(fixture_.port, config));
  pools.pools.push_back({.queues = 2});
  EXPECT_EQ(refusal(pools), ErrorCode::invalid_argument) << "pool 2 needs queue 10";
  start_again();
  EXPECT_EQ(fixture_.card.value<reg::MRQC>().get(reg::MRQC::ENABLE), 5u);
  EXPECT_FALSE(fixture_.card.value<reg::VMOLR>(0).has(reg::VMOLR::RSSE));
  EXPECT_TRUE(fixture_.card.value<reg::VMOLR>(1).has(reg::VMOLR::RSSE));
  EXPECT_EQ(fixture_.card.value<reg::RETA>(0).raw(), 0x08000800u) << "the queues in turn";
  ASSERT_TRUE(fixture_.port.stop());
  ASSERT_TRUE(set(two_));
  start_again();
  EXPECT_EQ(fixture_.card.value<reg::MRQC>().get(reg::MRQC::ENABLE), 3u);
  ASSERT_TRUE(fixture_.port.stop());
  ASSERT_TRUE(set({}));
  start_again();
  EXPECT_EQ(fixture_.card.value<reg::MRQC>().get(reg::MRQC::ENABLE), 2u);
  EXPECT_EQ(fixture_.card.value<reg::RETA>(0).raw(), 0x03020100u) << "all queues again";
}

TEST_F(PortPools, OfTwoQueuesNeedRssBetweenThem) {
  QueuePoolsConfig pools = two_;
  pools.pools[0].queues = 2;
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.rss = RssConfig{.types = {0}}; }));
  EXPECT_EQ(refusal(pools), ErrorCode::invalid_argument) << "RSS is off";
  std::vector<std::uint16_t> table(fixture_.port.info().limits.rss_table, 1);
  table.back() = 2;
  ASSERT_TRUE(fixture_.port.change([&](Settings& settings) { settings.rss = RssConfig{.table = table}; }));
  EXPECT_EQ(refusal(pools), ErrorCode::invalid_argument) << "the table names queue 2";
  EXPECT_EQ(fixture_.port.settings().pools, QueuePoolsConfig());
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.rss = RssConfig{}; }));
  ASSERT_TRUE(set(pools));
  EXPECT_EQ(fixture_.port.change([&](Settings& settings) { settings.rss = RssConfig{.table = table}; }).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(fixture_.port.change([](Settings& settings) { settings.rss = RssConfig{.types = {0}}; }).error().code,
            ErrorCode::invalid_argument);
  table.back() = 0;
  EXPECT_TRUE(fixture_.port.change([&](Settings& settings) { settings.rss = RssConfig{.table = table}; }));
}

TEST_F(PortPools, ExcludeOtherWaysToChooseQueues) {
  ASSERT_TRUE(set(two_));
  EXPECT_EQ(fixture_.port.change(test::with_vlan(7)).error().code, ErrorCode::bad_state);
  start();
  EXPECT_EQ(refusal({}), ErrorCode::bad_state) << "started";
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.rss = RssConfig{}; }));
  EXPECT_EQ(fixture_.card.value<reg::MRQC>().get(reg::MRQC::ENABLE), 3u) << "RSS waits until there are no pools";
  ASSERT_TRUE(fixture_.port.stop());
  ASSERT_TRUE(set({}));
  ASSERT_TRUE(test::add_rule(fixture_.port, FlowRule{match::ipv4().udp().destination_port(53), to_queue(1)}));
  EXPECT_EQ(refusal(two_), ErrorCode::bad_state);
  const FlowRuleId added = fixture_.port.settings().rules.begin()->first;
  ASSERT_TRUE(test::remove_rule(fixture_.port, added));
  ASSERT_TRUE(set(two_));
  const FlowRule rule{match::ipv4().udp().destination_port(53), to_queue(1)};
  EXPECT_EQ(test::add_rule(fixture_.port, rule).error().code, ErrorCode::bad_state) << "stopped";
  start_again();
  EXPECT_EQ(test::add_rule(fixture_.port, rule).error().code, ErrorCode::bad_state) << "started";
  EXPECT_TRUE(fixture_.port.settings().rules.empty());
  ASSERT_TRUE(fixture_.port.stop());
  ASSERT_TRUE(set({}));
  EXPECT_TRUE(test::add_rule(fixture_.port, rule)) << "without pools again";
  ASSERT_TRUE(fixture_.port.close());
  EXPECT_EQ(refusal(two_), ErrorCode::bad_state);
}

}  // namespace
}  // namespace pollux::test
