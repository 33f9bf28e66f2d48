// SPDX-License-Identifier: BSD-3-Clause
// Loopback in the MAC and in the PHY.
#include <gtest/gtest.h>

#include <cstring>

#include "pollux/mem/burst.hpp"
#include "pollux/net/loopback.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

/// Sends a frame to the port's own address. Returns the number of frames that the port then receives.
std::size_t received_after_sending(IgbFixture& fixture, PortMachine& port) {
  MbufPtr mbuf = fixture.pool.allocate();
  std::uint8_t* const data = mbuf->append(60);
  std::memset(data, 0, 60);
  std::memcpy(data, port.mac().data(), 6);
  data[12] = 0x88;
  data[13] = 0xB5;
  Burst<1> sent;
  EXPECT_TRUE(sent.push(mbuf));
  EXPECT_EQ(port.tx_queue(0)->tx_burst(sent), 1u);
  fixture.clock->advance(std::chrono::milliseconds(1));
  Burst<4> received;
  return port.rx_queue(0)->rx_burst(received);
}

class PortLoopback : public testing::TestWithParam<LoopbackMode> {};

TEST_P(PortLoopback, ReturnsFramesUntilItIsSwitchedOff) {
  IgbFixture fixture;
  const bool in_phy = GetParam() == LoopbackMode::phy;
  fixture.wire->set_carrier(!in_phy);
  auto port = fixture.open();
  ASSERT_NE(port, nullptr);
  ASSERT_TRUE(port->change([](Settings& settings) { settings.loopback = GetParam(); }));
  ASSERT_TRUE(test::configure_port(*port, fixture.config()));
  ASSERT_TRUE(port->start());
  fixture.clock->advance(std::chrono::seconds(1));
  EXPECT_EQ(to_string(port->link()), "up, 1000 Mb/s, full duplex");
  EXPECT_EQ(received_after_sending(fixture, *port), 1u);
  ASSERT_TRUE(test::set_promiscuous(*port, true));
  EXPECT_EQ(received_after_sending(fixture, *port), 1u);
  EXPECT_TRUE(fixture.sent.empty());
  EXPECT_EQ(port->change([](Settings& settings) { settings.loopback = LoopbackMode::none; }).error().code,
            ErrorCode::bad_state)
      << "started";

  ASSERT_TRUE(port->stop());
  ASSERT_TRUE(port->change([](Settings& settings) { settings.loopback = LoopbackMode::none; }));
  fixture.wire->set_carrier(true);
  ASSERT_TRUE(port->start());
  fixture.clock->advance(std::chrono::seconds(1));
  EXPECT_EQ(received_after_sending(fixture, *port), 0u);
  EXPECT_EQ(fixture.sent.size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Modes, PortLoopback, testing::Values(LoopbackMode::mac, LoopbackMode::phy),
                         [](const auto& part) { return part.param == LoopbackMode::mac ? "Mac" : "Phy"; });

TEST(PortLoopbackInThePhy, IsRefusedDuringAManagementSession) {
  IgbFixture fixture;
  auto port = fixture.open();
  ASSERT_NE(port, nullptr);
  ASSERT_TRUE(port->change([](Settings& settings) { settings.loopback = LoopbackMode::phy; }));
  ASSERT_TRUE(test::configure_port(*port, fixture.config()));
  fixture.with_card([](models::igb::Card& card) {
    card.registers().set<reg::MANC>(reg::MANC::BLK_PHY_RST_ON_IDE);
    return 0;
  });
  const auto started = port->start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::not_supported);
  EXPECT_EQ(port->state(), PortState::configured);
}

}  // namespace
}  // namespace pollux::drivers::igb
