// SPDX-License-Identifier: BSD-3-Clause
// What of a change of settings reaches the driver, and what is taken back if a part of it fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scripted_driver.hpp"

namespace pollux {
namespace {

using test::Machine;
using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(Machine, ASettingIsAppliedAtStartOrAtOnce) {
  open();
  ASSERT_TRUE(test::set_mac(*port_, {2, 0, 0, 0, 0, 9}));
  ASSERT_TRUE(test::configure_port(*port_, {.rx = {}, .mtu = 1400}));
  ASSERT_TRUE(test::set_promiscuous(*port_, true));
  EXPECT_THAT(script_.calls, ElementsAre("configure"));
  ASSERT_TRUE(port_->start());
  EXPECT_EQ(script_.settings.mac, (MacAddress{2, 0, 0, 0, 0, 9}));
  EXPECT_EQ(script_.settings.mtu, 1400u);
  EXPECT_TRUE(script_.settings.promiscuous);
  EXPECT_FALSE(script_.settings.all_multicast);
  script_.calls.clear();
  ASSERT_TRUE(test::set_mac(*port_, {2, 0, 0, 0, 0, 8}));
  ASSERT_TRUE(test::set_mtu(*port_, 1300));
  ASSERT_TRUE(test::set_all_multicast(*port_, true));
  ASSERT_TRUE(test::set_promiscuous(*port_, false));
  EXPECT_THAT(script_.calls, ElementsAre("apply mac", "apply mtu 1300", "apply all_multicast", "apply promiscuous"));
  EXPECT_EQ(port_->settings().mtu, 1300u);
}

TEST_F(Machine, ARefusedSettingReachesNoCard) {
  start();
  script_.check = ErrorCode::not_supported;
  EXPECT_EQ(test::set_mtu(*port_, 1400).error().code, ErrorCode::not_supported);
  EXPECT_THAT(script_.calls, IsEmpty());
  EXPECT_EQ(port_->settings().mtu, 1500u);
}

TEST_F(Machine, ASettingThatFailsIsTakenBack) {
  start();
  script_.apply = {ErrorCode::timeout};
  EXPECT_EQ(test::set_mtu(*port_, 1400).error().code, ErrorCode::timeout);
  EXPECT_THAT(script_.calls, ElementsAre("apply mtu 1400", "apply mtu 1500"));
  EXPECT_EQ(port_->settings().mtu, 1500u);
  EXPECT_EQ(port_->state(), PortState::started);
}

TEST_F(Machine, ThePortFailsIfTheOldSettingFailsToo) {
  start();
  script_.apply = {ErrorCode::device_fault, ErrorCode::timeout};
  EXPECT_EQ(test::set_mtu(*port_, 1400).error().code, ErrorCode::timeout);
  EXPECT_EQ(port_->settings().mtu, 1500u);
  EXPECT_EQ(port_->state(), PortState::failed);
}

// Of a started port the rings change first, and then what else differs.
TEST_F(Machine, ARingIsTakenBackWithTheSettingThatFails) {
  const auto change = [&] {
    return port_->change([](Settings& settings) {
      settings.tx[0].ring = 32;
      settings.mtu = 1400;
    });
  };
  for (const bool fails_again : {false, true}) {
    script_ = {};
    start();
    const auto before = test::state_of(*port_);
    script_.apply = {ErrorCode::timeout};
    if (fails_again) script_.apply.insert(script_.apply.begin(), ErrorCode::device_fault);
    EXPECT_EQ(change().error().code, ErrorCode::timeout);
    std::vector<std::string> calls{"prepare",    "close_queue 0",  "halt_queue",     "exchange",  "start_queue",
                                   "open_queue", "apply mtu 1400", "apply mtu 1500", "prepare",   "close_queue 0",
                                   "halt_queue", "exchange",       "start_queue",    "open_queue"};
    if (fails_again) calls.insert(calls.end(), {"close_queues", "halt"});
    EXPECT_EQ(script_.calls, calls);
    EXPECT_EQ(port_->state(), fails_again ? PortState::failed : PortState::started);
    EXPECT_EQ(test::state_of(*port_), before);
  }
}

TEST_F(Machine, ASettingIsTakenBackIfTheQueuesCannotBeSetUp) {
  open();
  ASSERT_TRUE(test::configure_port(*port_, {.rx = {}}));
  const auto before = test::state_of(*port_);
  script_.calls.clear();
  script_.configure = ErrorCode::no_memory;
  const auto changed = port_->change([](Settings& settings) {
    settings.tx[0].ring = 32;
    settings.led = LedMode::on;
  });
  EXPECT_EQ(changed.error().code, ErrorCode::no_memory);
  EXPECT_THAT(script_.calls, ElementsAre("apply led", "configure", "apply led"));
  EXPECT_EQ(test::state_of(*port_), before);
  EXPECT_EQ(port_->state(), PortState::configured);
}

TEST_F(Machine, ASettingThatItsOwnerRefusesHasChangedNothing) {
  start();
  script_.apply = {ErrorCode::permission_denied};
  EXPECT_EQ(test::set_mtu(*port_, 1400).error().code, ErrorCode::permission_denied);
  EXPECT_THAT(script_.calls, ElementsAre("apply mtu 1400"));
  EXPECT_EQ(port_->state(), PortState::started);
}

TEST_F(Machine, TheQueuesPauseForASettingOfTags) {
  start();
  const auto strip = [&] {
    return port_->change([](Settings& settings) { settings.vlan_stripping = !settings.vlan_stripping; });
  };
  ASSERT_TRUE(strip());
  EXPECT_THAT(script_.calls, ElementsAre("pause", "apply stripping", "unpause"));
  script_.calls.clear();
  script_.pause = ErrorCode::timeout;
  EXPECT_EQ(strip().error().code, ErrorCode::timeout);
  EXPECT_THAT(script_.calls, ElementsAre("pause"));
  EXPECT_TRUE(port_->settings().vlan_stripping);
}

TEST_F(Machine, OnlyWhatConcernsTheCardOfAStoppedPortIsAppliedThere) {
  open();
  ASSERT_TRUE(port_->change([](Settings& settings) { settings.vlan_stripping = true; }));
  EXPECT_THAT(script_.calls, ElementsAre());
  const auto set = [&](LedMode led) { return port_->change([=](Settings& all) { all.led = led; }); };
  ASSERT_TRUE(set(LedMode::on));
  EXPECT_THAT(script_.calls, ElementsAre("apply led"));
  script_.apply = {ErrorCode::timeout};
  EXPECT_EQ(set(LedMode::off).error().code, ErrorCode::timeout);
  EXPECT_THAT(script_.calls, ElementsAre("apply led", "apply led", "apply led"));
  EXPECT_EQ(port_->settings().led, LedMode::on);
}

}  // namespace
}  // namespace pollux
