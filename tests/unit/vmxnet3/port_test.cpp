// SPDX-License-Identifier: BSD-3-Clause
// What the ports of paravirtual devices share, on a device that moves no frame: buffers after a start or a restart that
// fails, and the interrupt for events.
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

}  // namespace
}  // namespace pollux
