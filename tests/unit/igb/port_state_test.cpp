// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "pollux/mem/burst.hpp"
#include "pollux/net/register_dump.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

TEST(PortStates, OpenConfigureStartStopClose) {
  IgbFixture fixture;
  auto port = fixture.open();
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(port->state(), PortState::opened);
  EXPECT_EQ(port->rx_queue(0), nullptr);
  ASSERT_TRUE(test::configure_port(*port, fixture.config()));
  EXPECT_EQ(port->state(), PortState::configured);
  ASSERT_NE(port->rx_queue(0), nullptr);
  EXPECT_EQ(port->rx_queue(1), nullptr);
  EXPECT_FALSE(fixture.faults->bus_master);
  ASSERT_TRUE(port->start());
  EXPECT_EQ(port->state(), PortState::started);
  EXPECT_TRUE(fixture.faults->bus_master);
  EXPECT_GE(fixture.pool.stats().in_use(), 64u);
  ASSERT_TRUE(port->stop());
  EXPECT_EQ(port->state(), PortState::configured);
  EXPECT_FALSE(fixture.faults->bus_master);
  EXPECT_TRUE(fixture.all_mbufs_free());
  ASSERT_TRUE(port->close());
  EXPECT_EQ(port->state(), PortState::closed);
  EXPECT_TRUE(fixture.faults->destroyed);
  EXPECT_EQ(port->rx_queue(0), nullptr);
}

TEST(PortStates, InfoNamesTheCardAndItsLimits) {
  IgbFixture fixture;
  auto port = fixture.open();
  ASSERT_NE(port, nullptr);
  const PortInfo& info = port->info();
  EXPECT_EQ(info.name, "sim:0");
  EXPECT_EQ(info.driver, "igb");
  EXPECT_EQ(info.card, "Intel 82576");
  EXPECT_EQ(info.backend, "sim");
  EXPECT_EQ(info.limits.max_rx_queues, 16);
  EXPECT_EQ(info.limits.max_tx_queues, 16);
  EXPECT_EQ(info.limits.max_mtu, 9706u);
  EXPECT_NE(port->capability<RegisterDump>(), nullptr);
}

/// A call, and the states in which it is allowed.
struct Call {
  const char* name;
  Result<void> (*make)(PortMachine& port, IgbFixture& fixture);
  bool opened, configured, started, closed;
};

Result<void> drop_value(Result<Duration> result) {
  return result ? Result<void>() : Result<void>(tl::unexpected<Error>(result.error()));
}

class PortCalls : public testing::TestWithParam<Call> {
 protected:
  static void bring_to(PortMachine& port, IgbFixture& fixture, PortState state) {
    if (state == PortState::opened) return;
    if (state == PortState::closed) {
      ASSERT_TRUE(port.close());
      return;
    }
    ASSERT_TRUE(test::configure_port(port, fixture.config()));
    if (state == PortState::started) {
      ASSERT_TRUE(port.start());
    }
  }
  static void check(PortState state, bool allowed) {
    IgbFixture fixture;
    auto port = fixture.open();
    ASSERT_NE(port, nullptr);
    ASSERT_NO_FATAL_FAILURE(bring_to(*port, fixture, state));
    const std::size_t writes = fixture.faults->writes.size();
    const auto result = GetParam().make(*port, fixture);
    EXPECT_EQ(result.has_value(), allowed) << GetParam().name << " in state " << static_cast<int>(state)
                                           << (result ? "" : ": " + result.error().message());
    if (allowed || result) return;
    EXPECT_EQ(result.error().code, ErrorCode::bad_state);
    EXPECT_FALSE(result.error().hint.empty());
    EXPECT_EQ(port->state(), state);
    EXPECT_EQ(fixture.faults->writes.size(), writes) << "a rejected call wrote to the card";
  }
};

TEST_P(PortCalls, SucceedOrAreRejectedWithoutAChange) {
  check(PortState::opened, GetParam().opened);
  check(PortState::configured, GetParam().configured);
  check(PortState::started, GetParam().started);
  check(PortState::closed, GetParam().closed);
}

INSTANTIATE_TEST_SUITE_P(
    All, PortCalls,
    testing::Values(
        Call{"configure",
             [](PortMachine& port, IgbFixture& fixture) { return test::configure_port(port, fixture.config()); }, true,
             true, true, false},
        Call{"start", [](PortMachine& port, IgbFixture&) { return port.start(); }, false, true, false, false},
        Call{"stop", [](PortMachine& port, IgbFixture&) { return port.stop(); }, false, false, true, false},
        Call{"close", [](PortMachine& port, IgbFixture&) { return port.close(); }, true, true, true, false},
        Call{"set_mac",
             [](PortMachine& port, IgbFixture&) {
               return test::set_mac(port, {2, 0, 0, 0, 0, 9});
             },
             true, true, true, false},
        Call{"set_mtu", [](PortMachine& port, IgbFixture&) { return test::set_mtu(port, 1400); }, true, true, true,
             false},
        Call{"set_promiscuous", [](PortMachine& port, IgbFixture&) { return test::set_promiscuous(port, true); }, true,
             true, true, false},
        Call{"set_all_multicast", [](PortMachine& port, IgbFixture&) { return test::set_all_multicast(port, true); },
             true, true, true, false},
        Call{"service", [](PortMachine& port, IgbFixture&) { return drop_value(port.service()); }, true, true, true,
             false}),
    [](const auto& call) { return std::string(call.param.name); });

TEST(PortStates, StartsAgainManyTimes) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  const auto frame = broadcast(64);
  Burst<8> burst;
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(port->link().up);
    fixture.wire->inject(frame);
    EXPECT_EQ(port->rx_queue(0)->rx_burst(burst), 1u) << "round " << round;
    burst = {};
    ASSERT_TRUE(port->stop());
    EXPECT_TRUE(fixture.all_mbufs_free());
    EXPECT_EQ(port->rx_queue(0)->rx_burst(burst), 0u);
    ASSERT_TRUE(port->start());
    fixture.clock->advance(std::chrono::seconds(1));
  }
  EXPECT_EQ(port->stats().rx_packets, 20u);
  EXPECT_EQ(port->stats().rx_burst_packets, 20u);
}

TEST(PortStates, ConfiguresAgainWithOtherQueuesAndRings) {
  IgbFixture fixture({}, {.count = 4096});
  auto port = fixture.open();
  ASSERT_NE(port, nullptr);
  Settings config = fixture.config();
  for (const std::uint16_t queues : std::initializer_list<std::uint16_t>{1, 16, 3, 1}) {
    config.rx[0].ring = queues == 3 ? 128 : 32;
    config.rx.assign(queues, RxQueueConfig(config.rx[0]));
    config.tx.resize(queues, config.tx[0]);
    ASSERT_TRUE(test::configure_port(*port, config));
    ASSERT_TRUE(port->start());
    EXPECT_NE(port->rx_queue(static_cast<std::uint16_t>(queues - 1)), nullptr);
    EXPECT_EQ(port->tx_queue(queues), nullptr);
    EXPECT_EQ(fixture.value<reg::RDLEN>(0).raw(), config.rx[0].ring * 16);
    ASSERT_TRUE(port->stop());
    EXPECT_TRUE(fixture.all_mbufs_free());
  }
}

TEST(PortStates, OpensAgainAfterClose) {
  IgbFixture fixture;
  for (int round = 0; round < 3; ++round) {
    auto port = fixture.started();
    ASSERT_NE(port, nullptr);
    EXPECT_EQ(port->info().index, 0);
    ASSERT_TRUE(port->close());
    EXPECT_TRUE(fixture.all_mbufs_free());
  }
}

TEST(PortStates, DestructionCloses) {
  IgbFixture fixture;
  { auto port = fixture.started(); }
  EXPECT_TRUE(fixture.faults->destroyed);
  EXPECT_TRUE(fixture.all_mbufs_free());
  EXPECT_FALSE(fixture.value<reg::CTRL_EXT>().has(reg::CTRL_EXT::DRV_LOAD));
}

TEST(PortStates, ClosingReleasesTheCard) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  EXPECT_TRUE(fixture.value<reg::CTRL_EXT>().has(reg::CTRL_EXT::DRV_LOAD));
  fixture.faults->writes.clear();
  ASSERT_TRUE(port->close());
  // The writes before the backend resets the device itself.
  std::uint32_t last_ext = ~0u;
  bool reset = false;
  for (const auto& [offset, value] : fixture.faults->writes) {
    if (offset == reg::CTRL_EXT::offset()) last_ext = value;
    if (offset == reg::CTRL::offset() && reg::CTRL::Value(value).has(reg::CTRL::RST)) reset = true;
  }
  EXPECT_TRUE(reset);
  EXPECT_FALSE(reg::CTRL_EXT::Value(last_ext).has(reg::CTRL_EXT::DRV_LOAD));
  EXPECT_FALSE(fixture.faults->bus_master);
}

TEST(PortStates, WritesNothingWhileTheCardResets) {
  IgbFixture fixture;
  {
    auto port = fixture.started();
    ASSERT_NE(port, nullptr);
    ASSERT_TRUE(port->stop());
    ASSERT_TRUE(port->start());
  }
  EXPECT_EQ(fixture.with_card([](models::igb::Card& card) { return card.writes_in_reset(); }), 0u);
  EXPECT_EQ(fixture.with_card([](models::igb::Card& card) { return card.registers().unknown_accesses(); }), 0u);
}

}  // namespace
}  // namespace pollux::drivers::igb
