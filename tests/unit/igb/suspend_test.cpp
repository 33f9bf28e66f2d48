// SPDX-License-Identifier: BSD-3-Clause
// A port that is suspended and resumed, or detached and attached, has all its settings again and passes frames.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "hw/intel/igb/registers.hpp"
#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/flow/match.hpp"
#include "pollux/net/flow_control.hpp"
#include "pollux/net/interrupts.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/port_clock.hpp"
#include "pollux/net/queue_pools.hpp"
#include "pollux/net/register_dump.hpp"
#include "pollux/net/rss.hpp"
#include "pollux/net/virtual_functions.hpp"
#include "pollux/net/wake_on_lan.hpp"
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace hw_igb = hw::igb;

enum class Way : std::uint8_t { suspend, detach, removal };

/// A port that goes away and comes back.
class AwayAndBack : public testing::TestWithParam<Way> {
 protected:
  void away() {
    switch (GetParam()) {
      case Way::suspend: {
        const auto suspended = fixture_.port.suspend();
        ASSERT_TRUE(suspended) << suspended.error().message();
        EXPECT_EQ(fixture_.port.state(), PortState::suspended);
        return;
      }
      case Way::removal:
        fixture_.card.set_removed(true);
        EXPECT_FALSE(fixture_.port.service());
        EXPECT_EQ(fixture_.port.state(), PortState::failed);
        [[fallthrough]];
      case Way::detach: {
        const auto detached = fixture_.port.detach();
        ASSERT_TRUE(detached) << detached.error().message();
        EXPECT_EQ(fixture_.port.state(), PortState::detached);
        fixture_.card.set_removed(false);
      }
    }
  }
  [[nodiscard]] std::unique_ptr<Device> device() {
    auto device = sim::SimDevice::create(fixture_.context, "sim:other", fixture_.wire, 0);
    EXPECT_TRUE(device) << device.error().message();
    return device ? *std::move(device) : nullptr;
  }
  void back() {
    const auto resumed = GetParam() == Way::suspend ? fixture_.port.resume() : fixture_.port.attach(device());
    ASSERT_TRUE(resumed) << resumed.error().message();
  }
  void away_and_back() {
    ASSERT_NO_FATAL_FAILURE(away());
    ASSERT_NO_FATAL_FAILURE(back());
    if (fixture_.port.state() == PortState::started) {
      ASSERT_TRUE(fixture_.port.wait_for_link(5s));
    }
  }
  /// The values of the card's registers that settings decide.
  [[nodiscard]] std::vector<std::pair<std::string, std::uint32_t>> registers() {
    std::vector<std::pair<std::string, std::uint32_t>> values;
    for (const RegisterValue& each : fixture_.port.capability<RegisterDump>()->registers()) {
      if (each.name != "FRTIMER") values.emplace_back(each.name, each.value);
    }
    return values;
  }
  [[nodiscard]] bool passes(const MacAddress& to) {
    Frame frame = counting_frame(200);
    std::transform(to.begin(), to.end(), frame.begin(), [](std::uint8_t byte) { return std::byte{byte}; });
    fixture_.inject(frame);
    return fixture_.receive_all().size() == 1;
  }

  CardFixture fixture_{{.port = {.rx = {2, {.ring = 64}}, .tx = {2, {.ring = 64}}}}};
};

TEST_P(AwayAndBack, FramesPassAgainAndNoBufferIsLost) {
  for (int round = 0; round < 3; ++round) {
    fixture_.inject(counting_frame(100));  // waits in the ring
    ASSERT_NO_FATAL_FAILURE(away());
    EXPECT_THAT(fixture_.receive_all(), IsEmpty());
    EXPECT_FALSE(fixture_.transmit(counting_frame(60)));
    fixture_.clock->advance(10min);
    ASSERT_NO_FATAL_FAILURE(back());
    EXPECT_EQ(fixture_.port.state(), PortState::started);
    ASSERT_TRUE(fixture_.port.wait_for_link(5s));
    fixture_.sent.clear();
    EXPECT_TRUE(fixture_.transmit(counting_frame(60)));
    fixture_.clock->advance(1ms);
    EXPECT_EQ(fixture_.sent.size(), 1U);
    EXPECT_TRUE(passes(fixture_.port.mac()));
    EXPECT_TRUE(fixture_.every_mbuf_accounted_for());
  }
  const char* const counter = GetParam() == Way::removal ? "rx_removed" : "rx_stopped";
  EXPECT_EQ(fixture_.drops(counter), 3U) << "the frames that waited";
  EXPECT_THAT(fixture_.misuse, IsEmpty());
}

TEST_P(AwayAndBack, SettingsAreRestored) {
  Port& port = fixture_.port;
  const MacAddress own{2, 0, 0, 0, 0, 8};
  const MacAddress further{2, 0, 0, 0, 0, 9};
  ASSERT_TRUE(set_mac(port, own));
  ASSERT_TRUE(set_mtu(port, 2000));
  ASSERT_TRUE(set_all_multicast(port, true));
  ASSERT_TRUE(port.change([&](Settings& settings) { settings.unicast = std::vector{further}; }));
  ASSERT_TRUE(port.change(test::with_vlan(5)));
  ASSERT_TRUE(port.change([](Settings& settings) { settings.vlan_stripping = true; }));
  ASSERT_TRUE(test::add_rule(port, FlowRule(match::ipv4().udp().destination_port(53), to_queue(1))));
  RssConfig rss = rss_of(port);
  rss.table.assign(port.info().limits.rss_table, 1);
  ASSERT_TRUE(port.change([&](Settings& settings) { settings.rss = rss; }));
  ASSERT_TRUE(
      port.change([](Settings& settings) { settings.flow_control = {.pause = {.receive = true, .transmit = true}}; }));
  ASSERT_TRUE(port.change([](Settings& settings) { settings.moderation[0] = {.interval = 50us}; }));
  ASSERT_TRUE(port.stop_queue(QueueId::rx(1)));
  ASSERT_TRUE(port.wait_for_link(5s));
  ASSERT_TRUE(port.service());
  const auto state = state_of(port);
  const auto before = registers();
  ASSERT_NO_FATAL_FAILURE(away_and_back());
  ASSERT_TRUE(port.service());
  EXPECT_EQ(state_of(port), state);
  EXPECT_EQ(port.mac(), own);
  EXPECT_EQ(port.settings().rules.size(), 1U);
  const auto after = registers();
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(after[i], before[i]);
  EXPECT_TRUE(passes(own));
  EXPECT_TRUE(passes(further));
  EXPECT_FALSE(passes({2, 0, 0, 0, 0, 10}));
}

TEST_P(AwayAndBack, TheStateBeforeIsTheStateAfter) {
  ASSERT_TRUE(fixture_.port.stop());
  ASSERT_TRUE(configure_port(fixture_.port, {.rx = {{.pool = fixture_.pool, .ring = 128}}}));
  const auto state = state_of(fixture_.port);
  ASSERT_NO_FATAL_FAILURE(away_and_back());
  EXPECT_EQ(fixture_.port.state(), PortState::configured);
  EXPECT_EQ(state_of(fixture_.port), state);
  ASSERT_TRUE(fixture_.port.start());
  ASSERT_TRUE(fixture_.port.wait_for_link(5s));
  EXPECT_TRUE(passes(fixture_.port.mac()));
}

TEST_P(AwayAndBack, TheClockGoesOn) {
  const auto clock = [this] { return fixture_.port.capability<PortClock>(); };
  ASSERT_TRUE(test::run_clock(fixture_.port));
  ASSERT_TRUE(clock()->set_time(1000s));
  ASSERT_NO_FATAL_FAILURE(away());
  fixture_.clock->advance(100s);
  ASSERT_NO_FATAL_FAILURE(back());
  const auto now = clock()->time();
  ASSERT_TRUE(now);
  EXPECT_GE(*now, Time(1100s) - Duration(GetParam() == Way::removal ? 2s : 1us));
  EXPECT_LE(*now, Time(1101s)) << "the start takes part of a second";
}

TEST_P(AwayAndBack, CallsAreRefusedMeanwhile) {
  ASSERT_NO_FATAL_FAILURE(away());
  for (const auto& refused :
       {fixture_.port.start(), fixture_.port.stop(), configure_port(fixture_.port, {}), fixture_.port.suspend(),
        set_mtu(fixture_.port, 1400), fixture_.port.stop_queue(QueueId::rx(1))}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::bad_state);
    EXPECT_THAT(refused.error().hint, testing::AnyOf(HasSubstr("resume"), HasSubstr("attach")));
  }
  EXPECT_FALSE(fixture_.port.link().up);
  EXPECT_EQ(fixture_.port.config().rx.size(), 2U);
  static_cast<void>(fixture_.port.stats());
  static_cast<void>(fixture_.port.extended_stats());
  ASSERT_TRUE(fixture_.context.control().run_due()) << "the Control has nothing to report";
  EXPECT_TRUE(fixture_.port.close());
}

TEST_P(AwayAndBack, IsReported) {
  std::vector<std::string> seen;
  fixture_.port.on_event([&](const PortEvent& event) { seen.push_back(to_string(event)); });
  ASSERT_TRUE(fixture_.port.service());
  ASSERT_NO_FATAL_FAILURE(away_and_back());
  ASSERT_TRUE(fixture_.port.service());
  const std::string up = "link up, 1000 Mb/s, full duplex";
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_EQ(seen[0], up);
  EXPECT_THAT(seen[1], GetParam() == Way::removal ? HasSubstr("removed: ") : HasSubstr("link down"));
  EXPECT_EQ(seen[2], up);
  fixture_.card.set_removed(true);
  EXPECT_FALSE(fixture_.port.service());
  EXPECT_THAT(seen.back(), HasSubstr("removed: ")) << "a second failure is reported, too";
}

std::string name_of(const testing::TestParamInfo<Way>& way) {
  return std::vector{"Suspend", "Detach", "Removal"}[static_cast<std::size_t>(way.param)];
}
INSTANTIATE_TEST_SUITE_P(Recovery, AwayAndBack, testing::Values(Way::suspend, Way::detach, Way::removal), name_of);

struct SuspendedCard : testing::Test {
  /// The card's registers cannot be accessed while it is suspended.
  [[nodiscard]] bool phy_is_stopped() {
    return fixture.card.with([](models::igb::Card& card) { return !card.link_signal().present; });
  }
  CardFixture fixture;
};

TEST_F(SuspendedCard, HasNoDmaAndSleeps) {
  ASSERT_TRUE(fixture.port.suspend());
  EXPECT_FALSE(fixture.card.value<hw_igb::RXDCTL>(1).has(hw_igb::RXDCTL::ENABLE));
  EXPECT_FALSE(fixture.card.value<hw_igb::RCTL>().has(hw_igb::RCTL::RXEN));
  EXPECT_FALSE(fixture.card.value<hw_igb::CTRL_EXT>().has(hw_igb::CTRL_EXT::DRV_LOAD));
  EXPECT_TRUE(phy_is_stopped());
  ASSERT_TRUE(fixture.port.resume());
  EXPECT_TRUE(fixture.card.value<hw_igb::CTRL_EXT>().has(hw_igb::CTRL_EXT::DRV_LOAD));
  EXPECT_FALSE(phy_is_stopped());
}

TEST_F(SuspendedCard, IsArmedToWake) {
  ASSERT_TRUE(fixture.port.change([](Settings& settings) { settings.wake = {.magic = true}; }));
  ASSERT_TRUE(fixture.port.suspend());
  EXPECT_TRUE(fixture.card.value<hw_igb::WUFC>().has(hw_igb::WUFC::MAG));
  EXPECT_TRUE(fixture.card.value<hw_igb::WUC>().has(hw_igb::WUC::PME_EN));
  EXPECT_FALSE(phy_is_stopped());
  ASSERT_TRUE(fixture.port.resume());
  EXPECT_FALSE(fixture.card.value<hw_igb::WUFC>().has(hw_igb::WUFC::MAG));
  EXPECT_TRUE(fixture.port.settings().wake.magic) << "for the next time";
}

TEST_F(SuspendedCard, ThatWasRemovedFails) {
  ASSERT_TRUE(fixture.port.suspend());
  fixture.card.set_removed(true);
  EXPECT_EQ(fixture.port.resume().error().code, ErrorCode::device_removed);
  EXPECT_EQ(fixture.port.state(), PortState::failed);
  fixture.card.set_removed(false);
  ASSERT_TRUE(fixture.port.detach());
  auto device = sim::SimDevice::create(fixture.context, "sim:0", fixture.wire, 0);
  ASSERT_TRUE(device);
  ASSERT_TRUE(fixture.port.attach(*std::move(device)));
  EXPECT_EQ(fixture.port.state(), PortState::started);
}

TEST_F(SuspendedCard, WithPoolsOrFunctionsKeepsThem) {
  ASSERT_TRUE(fixture.port.stop());
  ASSERT_TRUE(test::set_functions(fixture.port, 2));
  ASSERT_TRUE(test::set_function(fixture.port, 1, {.vlan = 7}));
  ASSERT_TRUE(fixture.port.start());
  for (const bool by_detaching : {false, true}) {
    if (by_detaching) {
      ASSERT_TRUE(fixture.port.detach());
      auto device = sim::SimDevice::create(fixture.context, "sim:0", fixture.wire, 0);
      ASSERT_TRUE(device);
      const auto attached = fixture.port.attach(*std::move(device));
      ASSERT_TRUE(attached) << attached.error().message();
    } else {
      ASSERT_TRUE(fixture.port.suspend());
      ASSERT_TRUE(fixture.port.resume());
    }
    EXPECT_EQ(fixture.port.settings().functions.size(), 2U);
    EXPECT_EQ(fixture.card.value<hw_igb::VMVIR>(1).get(hw_igb::VMVIR::TAG), 7U);
    ASSERT_TRUE(fixture.port.wait_for_link(5s));
    fixture.inject(counting_frame(100));
    EXPECT_EQ(fixture.receive_all().size(), 1U) << "by the queue behind the functions'";
  }
}

TEST_F(SuspendedCard, AnotherKindOfCardIsRefused) {
  EXPECT_EQ(fixture.port.attach(nullptr).error().code, ErrorCode::bad_state);
  ASSERT_TRUE(fixture.port.detach());
  EXPECT_EQ(fixture.port.attach(nullptr).error().code, ErrorCode::invalid_argument);
  auto other = open_device(fixture.context, "sim:4.vf0");
  if (other) {
    EXPECT_EQ(fixture.port.attach(*std::move(other)).error().code, ErrorCode::not_supported);
  }
  EXPECT_EQ(fixture.port.state(), PortState::detached);
  EXPECT_EQ(fixture.port.detach().error().code, ErrorCode::bad_state);
}

TEST(SoftwarePort, SuspendsButKeepsItsMedium) {
  Context context{{.huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  auto port = open(context, "null:");
  ASSERT_TRUE(port);
  ASSERT_TRUE(port->suspend());
  EXPECT_EQ(port->state(), PortState::suspended);
  ASSERT_TRUE(port->resume());
  EXPECT_EQ(port->state(), PortState::started);
  EXPECT_EQ(port->detach().error().code, ErrorCode::not_supported);
  EXPECT_EQ(port->state(), PortState::started);
}

}  // namespace
}  // namespace pollux::test
