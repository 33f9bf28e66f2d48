// SPDX-License-Identifier: BSD-3-Clause
// What the ports of paravirtual devices share, on a device that moves no frame: buffers after a start or a restart that
// fails, and the interrupt for events.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

#include "pollux/pollux.hpp"
#include "support/settings_edits.hpp"
#include "unit/vmxnet3/fake_device.hpp"

namespace pollux {
namespace {

using test::FakeVmxnet3;
using test::FakeVmxnet3Fixture;

TEST(ParavirtualPort, ARestartThatFailsReturnsItsNewBuffers) {
  FakeVmxnet3Fixture fixture;
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  const Mempool other = *Mempool::create(fixture.context, {.count = 512, .name = "other"});
  fixture.device->reset_result = 1;
  const auto restarted = test::restart_rx(*port, 0, {.pool = other, .ring = 64});
  ASSERT_FALSE(restarted);
  EXPECT_EQ(restarted.error().code, ErrorCode::timeout) << restarted.error().message();
  EXPECT_EQ(other.stats().in_use(), 0U);
}

TEST(ParavirtualPort, AStartThatLacksBuffersReturnsThoseThatItHas) {
  FakeVmxnet3Fixture fixture;
  Mempool small = *Mempool::create(fixture.context, {.count = 80, .name = "small"});
  std::vector<MbufPtr> taken;
  for (unsigned i = 0; i < 40; ++i) taken.push_back(small.allocate());
  Settings settings = fixture.settings();
  settings.rx.push_back({.pool = small, .ring = 64});
  const auto port = open(fixture.context, "sim:0?card=fake-vmxnet3", settings);
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::no_memory) << port.error().message();
  EXPECT_EQ(fixture.pool.stats().in_use(), 0U);
  EXPECT_EQ(small.stats().in_use(), 40U);
}

TEST(Vmxnet3Port, APoolTooSmallForItsRingIsRefused) {
  FakeVmxnet3Fixture fixture;
  Settings settings = fixture.settings();
  settings.rx.front() = {.pool = *Mempool::create(fixture.context, {.count = 40, .name = "small"}), .ring = 64};
  const auto port = open(fixture.context, "sim:0?card=fake-vmxnet3", settings);
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::invalid_argument) << port.error().message();
  EXPECT_THAT(port.error().what, testing::HasSubstr("pool 'small' has 40 mbufs"));
}

TEST(Vmxnet3Port, TheDeviceHasAnEmptyRingOfAStoppedQueue) {
  FakeVmxnet3Fixture fixture;
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_EQ(fixture.device->tx()->ring_size, 64U);
  ASSERT_TRUE(port->stop_queue(QueueId::tx(0)));
  const auto* const tx = fixture.device->tx();
  EXPECT_EQ(tx->ring_size, hw::vmxnet3::kMinRing);
  EXPECT_EQ(tx->completions_size, hw::vmxnet3::kMinRing);
  EXPECT_NE(fixture.device->at<hw::vmxnet3::Completion>(tx->completions, tx->completions_size), nullptr);
  ASSERT_TRUE(port->stop_queue(QueueId::rx(0)));
  const auto* const rx = fixture.device->rx();
  EXPECT_EQ(rx->ring_size, (std::array{hw::vmxnet3::kMinRing, hw::vmxnet3::kMinRing}));
  EXPECT_EQ(rx->completions_size, 2 * hw::vmxnet3::kMinRing);
  EXPECT_NE(fixture.device->at<hw::vmxnet3::Completion>(rx->completions, rx->completions_size), nullptr);
}

TEST(Vmxnet3Port, TheFilterPassesTheVlansOfTheSettingsAndFramesWithoutATag) {
  FakeVmxnet3Fixture fixture;
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  const auto& passed = fixture.device->shared()->filter.vlans;
  EXPECT_THAT(passed, testing::Each(~std::uint32_t{0})) << "without a setting all pass";
  ASSERT_TRUE(port->change([](Settings& settings) { settings.vlans = VlanSet().set(7).set(4094); }));
  EXPECT_EQ(passed.front(), 1U | 1U << 7);
  EXPECT_EQ(passed.back(), 1U << 30);
  EXPECT_EQ(std::ranges::count(passed, 0U), std::ssize(passed) - 2);
}

TEST(Vmxnet3Port, ARemovedDeviceHasNoLink) {
  FakeVmxnet3Fixture fixture;
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_TRUE(port->link().up);
  fixture.device->removed = true;  // whoever asks it for its link reads all ones
  EXPECT_FALSE(port->link().up);
}

TEST(ParavirtualPort, AnEventOfTheDeviceIsHandledAtOnce) {
  FakeVmxnet3Fixture fixture([](FakeVmxnet3& device) { device.vectors = 3; });
  const auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  ASSERT_GE(fixture.context.control().event_fd(), 0);
  ASSERT_TRUE(fixture.context.control().run_due());
  fixture.device->shared()->events = hw::vmxnet3::event::kLink;
  ASSERT_TRUE(fixture.context.control().run_due());
  EXPECT_EQ(fixture.device->acknowledged, 0U);
  ASSERT_TRUE(fixture.device->interrupt);
  fixture.device->interrupt(0);
  ASSERT_TRUE(fixture.context.control().run_due());
  EXPECT_EQ(fixture.device->acknowledged, hw::vmxnet3::event::kLink) << "no time has passed";
}

/// Resets of a device while buffers were in use.
struct Resets {
  unsigned by_command = 0;
  unsigned of_function = 0;
};

/// Closes a port that has failed. `result` is what the device says to a reset then.
Resets close_after_failure(std::uint32_t result) {
  FakeVmxnet3Fixture fixture;
  auto port = fixture.start();
  EXPECT_TRUE(port) << port.error().message();
  fixture.device->reset_result = 1;
  EXPECT_FALSE(port->stop());
  EXPECT_EQ(port->state(), PortState::failed);
  Resets resets;
  const auto count = [&](unsigned& resets_of_a_kind) {
    resets_of_a_kind += fixture.pool.stats().in_use() != 0 ? 1U : 0U;
  };
  fixture.device->on_reset = [&] { count(resets.by_command); };
  fixture.device->on_function_reset = [&] { count(resets.of_function); };
  fixture.device->reset_result = result;
  static_cast<void>(port->close());
  EXPECT_EQ(fixture.pool.stats().in_use(), 0U);
  return resets;
}

TEST(ParavirtualPort, AFailedDeviceIsResetBeforeItsBuffersAreFree) {
  const Resets resets = close_after_failure(0);
  EXPECT_GE(resets.by_command, 1U);
}

TEST(ParavirtualPort, AFailedDeviceThatTakesNoCommandIsResetAsAFunction) {
  const unsigned at_its_end = close_after_failure(0).of_function;
  EXPECT_EQ(close_after_failure(1).of_function, at_its_end + 1);
}

}  // namespace
}  // namespace pollux
