// SPDX-License-Identifier: BSD-3-Clause
// A transmit queue that hangs: the port's service resets the port and restores its settings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* kLinkUp = "link up, 1000 Mb/s, full duplex";
constexpr const char* kReset = "transmit queue 0 sent nothing; the port was reset";

class Watchdog : public testing::Test {
 protected:
  void SetUp() override {
    fixture_.port.on_event([this](const PortEvent& event) { seen_.push_back(to_string(event)); });
    serve(0s);
    ASSERT_THAT(std::exchange(seen_, {}), ElementsAre(kLinkUp));
  }
  /// Runs the service each second for that long.
  void serve(Duration time) {
    for (Duration passed{0}; passed <= time; passed += 1s) {
      ASSERT_TRUE(fixture_.port.service());
      if (passed < time) fixture_.clock->advance(1s);
    }
  }
  void send(std::size_t frames) {
    for (std::size_t i = 0; i < frames; ++i) ASSERT_TRUE(fixture_.transmit(counting_frame(60)));
  }
  [[nodiscard]] std::uint64_t counter(std::string_view name) { return fixture_.counter(name); }
  void hang() {
    fixture_.card.with([](models::igb::Card& card) { card.transmitter().queue(0).hang(); });
  }

  CardFixture fixture_{{.port = {.rx = {2, {.ring = 64}}, .tx = {2, {.ring = 64}}}}};
  std::vector<std::string> seen_;
};

TEST_F(Watchdog, AHungQueueIsResetAndSendsAgain) {
  hang();
  send(5);
  serve(4s);
  EXPECT_THAT(seen_, IsEmpty()) << "less than tx_timeout";
  serve(2s);
  EXPECT_THAT(seen_, Contains(kReset));
  EXPECT_EQ(fixture_.port.state(), PortState::started);
  EXPECT_EQ(counter("tx_timeouts"), 1U);
  ASSERT_TRUE(fixture_.port.wait_for_link(5s));
  serve(0s);
  EXPECT_THAT(seen_, ElementsAre(kReset, "link down", kLinkUp));
  const std::size_t before = fixture_.sent.size();
  send(3);
  fixture_.clock->advance(1ms);
  EXPECT_EQ(fixture_.sent.size(), before + 3);
  serve(20s);
  EXPECT_EQ(counter("tx_timeouts"), 1U);
}

TEST_F(Watchdog, LostFramesAreNamed) {
  hang();
  send(5);
  serve(6s);
  const Stats stats = fixture_.port.stats();
  EXPECT_EQ(stats.tx_burst_packets, 5U);
  EXPECT_EQ(stats.tx_packets, 0U);
  EXPECT_EQ(fixture_.drops("tx_stopped"), 5U);
}

TEST_F(Watchdog, SettingsAreRestored) {
  const MacAddress further{0x02, 0, 0, 0, 0, 9};
  ASSERT_TRUE(set_mac(fixture_.port, {0x02, 0, 0, 0, 0, 8}));
  ASSERT_TRUE(set_mtu(fixture_.port, 2000));
  ASSERT_TRUE(fixture_.port.change([&](Settings& settings) { settings.unicast = std::vector{further}; }));
  const auto before = state_of(fixture_.port);
  hang();
  send(1);
  serve(6s);
  ASSERT_EQ(counter("tx_timeouts"), 1U);
  ASSERT_TRUE(fixture_.port.wait_for_link(5s));
  EXPECT_EQ(state_of(fixture_.port), before);
  EXPECT_EQ(fixture_.port.mac(), (MacAddress{0x02, 0, 0, 0, 0, 8}));
  for (const MacAddress& address : {further, fixture_.port.mac()}) {
    Frame frame = counting_frame(1800);
    std::transform(address.begin(), address.end(), frame.begin(), [](std::uint8_t byte) { return std::byte{byte}; });
    fixture_.inject(frame);
    EXPECT_EQ(fixture_.receive_all().size(), 1U) << to_string(address);
  }
}

TEST_F(Watchdog, AStoppedQueueStaysStopped) {
  ASSERT_TRUE(fixture_.port.stop_queue(QueueId::tx(1)));
  ASSERT_TRUE(fixture_.port.stop_queue(QueueId::rx(1)));
  const auto before = state_of(fixture_.port);
  ASSERT_TRUE(before.second.tx[1].stopped && before.second.rx[1].stopped);
  hang();
  send(1);
  serve(6s);
  EXPECT_EQ(counter("tx_timeouts"), 1U);
  EXPECT_EQ(state_of(fixture_.port), before);
}

TEST_F(Watchdog, AnIdleOrWorkingQueueIsLeftAlone) {
  hang();  // nothing waits
  serve(30s);
  EXPECT_THAT(seen_, IsEmpty());
  EXPECT_EQ(counter("tx_timeouts"), 0U);
}

TEST_F(Watchdog, FramesThatWaitForALinkAreNoHang) {
  fixture_.wire->set_carrier(false);
  send(5);
  serve(30s);
  EXPECT_THAT(seen_, ElementsAre("link down"));
  EXPECT_EQ(counter("tx_timeouts"), 0U);
}

TEST_F(Watchdog, ALinkThatWasDownBetweenTwoServicesIsNoHang) {
  hang();
  send(1);
  serve(0s);
  fixture_.wire->set_carrier(false);
  fixture_.clock->advance(1s);
  fixture_.wire->set_carrier(true);
  fixture_.clock->advance(4s);
  serve(0s);
  EXPECT_TRUE(fixture_.port.link().up);
  EXPECT_EQ(counter("tx_timeouts"), 0U);
  serve(3s);
  EXPECT_EQ(counter("tx_timeouts"), 1U) << "a queue that stands without that is noticed";
}

TEST_F(Watchdog, WhatWasBeforeAStartDoesNotCount) {
  hang();
  send(1);
  serve(0s);
  fixture_.clock->advance(3s);
  serve(0s);
  ASSERT_TRUE(fixture_.port.stop());
  ASSERT_TRUE(fixture_.port.start());
  fixture_.clock->advance(4s);
  ASSERT_TRUE(fixture_.port.link().up);
  hang();
  send(1);
  serve(0s);
  EXPECT_EQ(counter("tx_timeouts"), 0U);
}

TEST_F(Watchdog, ACardThatDoesNotStopEitherLeavesTheBusByReset) {
  hang();
  fixture_.card.with([](models::igb::Card& card) { card.control().hang_master(); });
  send(1);
  serve(6s);
  EXPECT_EQ(fixture_.port.state(), PortState::started);
  EXPECT_EQ(counter("tx_timeouts"), 1U);
}

TEST_F(Watchdog, ARemovedCardFailsInstead) {
  hang();
  send(1);
  serve(4s);
  fixture_.card.set_removed(true);
  fixture_.clock->advance(5s);
  EXPECT_FALSE(fixture_.port.service());
  EXPECT_EQ(fixture_.port.state(), PortState::failed);
  EXPECT_EQ(counter("tx_timeouts"), 0U);
}

TEST_F(Watchdog, CanBeTurnedOffAndSet) {
  ASSERT_TRUE(fixture_.port.stop());
  Settings config = fixture_.config;
  for (const Duration wrong : {Duration(-1s), Duration(99ms), Duration(2h)}) {
    config.tx_timeout = wrong;
    const auto refused = configure_port(fixture_.port, config);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  }
  config.tx_timeout = Duration(0);
  ASSERT_TRUE(configure_port(fixture_.port, config));
  ASSERT_TRUE(fixture_.port.start());
  ASSERT_TRUE(fixture_.port.wait_for_link(5s));
  hang();
  send(1);
  serve(30s);
  EXPECT_EQ(counter("tx_timeouts"), 0U);
}

}  // namespace
}  // namespace pollux::test
