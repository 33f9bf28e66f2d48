// SPDX-License-Identifier: BSD-3-Clause
// A function and its physical function are ports of one Context. A call of the function's port waits for the service of
// the physical function's port.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "support/settings_edits.hpp"
#include "unit/igbvf/physical_and_virtual.hpp"

namespace pollux::drivers {
namespace {

TEST_F(PhysicalAndVirtual, OneThreadMayDriveAFunctionAndItsPort) {
  auto function = open(context, "sim:0.vf0", config());
  ASSERT_TRUE(function) << function.error().message();
  const auto set = function->change(test::with_vlan(9));
  EXPECT_TRUE(set) << set.error().message();
  EXPECT_TRUE(function->stop());
  const auto started = function->start();
  EXPECT_TRUE(started) << started.error().message();
}

// The Control that resets the function's port also serves the physical function's.
TEST_F(PhysicalAndVirtual, AFunctionThatDoesNotSendIsResetByTheControl) {
  Settings impatient = config();
  impatient.tx_timeout = 100ms;
  auto function = open(context, "sim:0.vf0", impatient);
  ASSERT_TRUE(function) << function.error().message();
  ASSERT_TRUE(test::set_function(*physical, 0, {.mac = kFirst, .enabled = false}));
  transmit(*function, frame(partner->mac(), kFirst));
  std::vector<PortEventKind> seen;
  function->on_event([&](const PortEvent& event) { seen.push_back(event.kind); });
  for (int i = 0; i < 30; ++i) {
    clock->advance(100ms);
    const auto due = context.control().run_due();
    ASSERT_TRUE(due) << due.error().message();
  }
  EXPECT_THAT(seen, testing::Contains(PortEventKind::tx_timeout));
  EXPECT_EQ(function->state(), PortState::started);
}

TEST(PhysicalAndVirtualOnAControlThread, NoRequestIsLeftUnanswered) {
  Context context({.control_thread = true});
  auto physical = open_unconfigured(context, "sim:0");
  ASSERT_TRUE(physical) << physical.error().message();
  ASSERT_TRUE(test::set_functions(*physical, 1));
  const Settings config{.rx = {{.ring = 64}}, .tx = {{.ring = 64}}};
  ASSERT_TRUE(test::configure_port(*physical, config));
  ASSERT_TRUE(physical->start());
  auto function = open(context, "sim:0.vf0", config);
  ASSERT_TRUE(function) << function.error().message();
  for (int i = 0; i < 200; ++i) {
    const auto set = function->change(test::with_vlan(9, i % 2 == 0));
    ASSERT_TRUE(set) << i << ": " << set.error().message();
  }
}

}  // namespace
}  // namespace pollux::drivers
