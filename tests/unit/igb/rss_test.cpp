// SPDX-License-Identifier: BSD-3-Clause
// Receive-side scaling on an in-process card, with Microsoft's verification suite.
#include <gtest/gtest.h>

#include <utility>

#include "pollux/mem/burst.hpp"
#include "pollux/net/rss.hpp"
#include "support/flows.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

constexpr std::uint16_t kRssQueues = 4;

Settings with_queues(const IgbFixture& fixture, std::uint16_t queues) {
  Settings config = fixture.config();
  config.rx.resize(queues, config.rx[0]);
  return config;
}

/// Expects that the frame arrives with this hash on this queue.
void expect_arrival(IgbFixture& fixture, PortMachine& port, const test::KnownFrame& frame,
                    std::optional<std::uint32_t> hash, std::uint16_t expected) {
  fixture.wire->inject(frame.bytes);
  for (std::uint16_t queue = 0; queue < port.info().limits.max_rx_queues; ++queue) {
    RxQueue* const rx = port.rx_queue(queue);
    if (rx == nullptr) break;
    Burst<4> burst;
    EXPECT_EQ(rx->rx_burst(burst), queue == expected ? 1u : 0u) << frame.name << ", queue " << queue;
    for (const Mbuf& mbuf : burst) EXPECT_EQ(RxMetadata(mbuf).rss_hash(), hash) << frame.name;
  }
}

struct RssPort : testing::Test {
  void open(std::uint16_t queues, const RssConfig& setting) {
    port = fixture.open();
    ASSERT_NE(port, nullptr);
    const auto set = set_rss(setting);
    ASSERT_TRUE(set) << set.error().message();
    ASSERT_TRUE(test::configure_port(*port, with_queues(fixture, queues)));
    ASSERT_TRUE(port->start());
    fixture.clock->advance(std::chrono::seconds(1));
  }

  [[nodiscard]] Result<void> set_rss(const RssConfig& wanted) {
    return port->change([&](Settings& settings) { settings.rss = wanted; });
  }

  IgbFixture fixture;
  std::unique_ptr<PortMachine> port;
};

TEST_F(RssPort, HashesTheVerificationSuiteByPortsAndSpreadsItByTheTable) {
  RssConfig setting{.types = {RssTypes::kAll}};
  for (std::uint16_t entry = 0; entry < 128; ++entry) {
    setting.table.push_back(static_cast<std::uint16_t>((entry * 5 + 1) % kRssQueues));
  }
  ASSERT_NO_FATAL_FAILURE(open(kRssQueues, setting));
  for (const test::KnownFrame& frame : test::known_frames()) {
    const std::uint16_t queue = frame.full_hash ? setting.table[*frame.full_hash % 128] : std::uint16_t{0};
    expect_arrival(fixture, *port, frame, frame.full_hash, queue);
  }
}

TEST_F(RssPort, HashesAddressesIfNoTypeWithPortsIsEnabled) {
  ASSERT_NO_FATAL_FAILURE(open(1, {.types = {RssTypes::ipv4}}));
  for (const test::KnownFrame& frame : test::known_frames()) {
    const bool version4 = frame.type.has(PacketType::ipv4);
    if (frame.type.has(PacketType::tcp)) continue;
    expect_arrival(fixture, *port, frame, version4 ? frame.hash : std::nullopt, 0);
  }
}

TEST_F(RssPort, OutlivesRestartsAndNewConfigurations) {
  std::vector<std::uint16_t> table(128, 2);
  ASSERT_NO_FATAL_FAILURE(open(kRssQueues, {.table = table, .types = {RssTypes::ipv4}}));
  const test::KnownFrame udp = test::known_frames()[3];
  ASSERT_TRUE(udp.type.has(PacketType::udp));
  expect_arrival(fixture, *port, udp, udp.hash, 2);
  ASSERT_TRUE(port->stop());
  const auto fewer = test::configure_port(*port, with_queues(fixture, 2));
  ASSERT_FALSE(fewer);
  EXPECT_EQ(fewer.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(fewer.error().message().find("entry 0 of the RSS table is queue 2"), std::string::npos)
      << fewer.error().message();
  ASSERT_TRUE(test::configure_port(*port, with_queues(fixture, 3)));
  EXPECT_EQ(test::rss_of(*port).table, table);
  ASSERT_TRUE(port->start());
  fixture.clock->advance(std::chrono::seconds(1));
  expect_arrival(fixture, *port, udp, udp.hash, 2);
}

TEST_F(RssPort, IsOffWithoutATypeAndByDefaultWithOneQueue) {
  ASSERT_NO_FATAL_FAILURE(open(kRssQueues, {.types = {0}}));
  EXPECT_EQ(fixture.value<reg::MRQC>().raw(), 0u);
  const test::KnownFrame frame = test::known_frames()[0];
  expect_arrival(fixture, *port, frame, std::nullopt, 0);
  const auto on = set_rss({});
  ASSERT_FALSE(on) << "started";
  EXPECT_EQ(on.error().code, ErrorCode::bad_state);
  ASSERT_TRUE(port->stop());
  ASSERT_TRUE(set_rss({}));
  ASSERT_TRUE(port->start());
  EXPECT_EQ(fixture.value<reg::MRQC>().get(reg::MRQC::ENABLE), 2u);

  IgbFixture other;
  const auto one = other.started();
  ASSERT_NE(one, nullptr);
  EXPECT_EQ(test::rss_of(*one).types.bits, 0u);
}

TEST_F(RssPort, FillsInTheTableOnceTheQueuesAreKnown) {
  port = fixture.open();
  ASSERT_NE(port, nullptr);
  EXPECT_TRUE(test::rss_of(*port).table.empty());
  ASSERT_TRUE(test::configure_port(*port, with_queues(fixture, 3)));
  const RssConfig config = test::rss_of(*port);
  ASSERT_EQ(config.table.size(), port->info().limits.rss_table);
  EXPECT_EQ(config.table[126], 0u);
  EXPECT_EQ(config.table[127], 1u);
  EXPECT_EQ(config.key, packet::kDefaultRssKey);
  EXPECT_EQ(config.types, RssTypes{});
}

TEST_F(RssPort, CannotBeSetOnAClosedPort) {
  ASSERT_NO_FATAL_FAILURE(open(1, {}));
  ASSERT_TRUE(port->close());
  const auto set = set_rss({});
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, ErrorCode::bad_state);
}

}  // namespace
}  // namespace pollux::drivers::igb
