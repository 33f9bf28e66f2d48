// SPDX-License-Identifier: BSD-3-Clause
// QEMU's card reports each change of its link by the interrupt of vector 0, which makes the port's service due.
#include <sys/epoll.h>

#include <memory>

#include "backends/qtest/device.hpp"
#include "base/file_descriptor.hpp"
#include "drivers/intel/igb/driver.hpp"
#include "net/port_machine.hpp"
#include "pollux/net/flow_control.hpp"
#include "qemu/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux {
namespace {

using test::QemuFixture;

struct LinkInterrupt : testing::Test {
  void start() {
    auto device = qtest::open_qtest(fixture.context, "0");
    ASSERT_TRUE(device) << device.error().message();
    auto driver = drivers::igb::probe(fixture.context, *std::move(device));
    ASSERT_TRUE(driver) << driver.error().message();
    port = std::make_unique<PortMachine>(fixture.context.state(), *std::move(driver));
    flow_control = port->capability<FlowControl>();
    ASSERT_TRUE(test::configure_port(*port, fixture.config));
    ASSERT_TRUE(port->start());
    watch();
  }
  /// True if the interrupt's eventfd is signalled within `milliseconds`. Reports each signal once.
  [[nodiscard]] bool take(int milliseconds) {
    epoll_event found{};
    return ::epoll_wait(seen.get(), &found, 1, milliseconds) == 1;
  }
  void watch() {
    seen = FileDescriptor(::epoll_create1(EPOLL_CLOEXEC));
    epoll_event wanted{};
    wanted.events = EPOLLIN | EPOLLET;
    ASSERT_EQ(::epoll_ctl(seen.get(), EPOLL_CTL_ADD, port->events().back(), &wanted), 0);
  }
  /// The interrupt comes, and with it the link. Only the eventfd tells of it, no clock.
  void expect_link() {
    constexpr int kLimitMilliseconds = 20000;
    ASSERT_TRUE(take(kLimitMilliseconds));
    EXPECT_TRUE(test::eventually([&] { return port->link().up; }));
    EXPECT_TRUE(port->service());
    static_cast<void>(take(0));
  }
  QemuFixture fixture;
  std::unique_ptr<PortMachine> port;
  FlowControl* flow_control = nullptr;
  FileDescriptor seen;
};

TEST_F(LinkInterrupt, ComesEachTimeTheLinkChanges) {
  ASSERT_NO_FATAL_FAILURE(start());
  expect_link();
  for (const bool pause : {true, false}) {
    // What the PHY advertises changes, so the link goes down and comes back.
    ASSERT_TRUE(port->change([&](Settings& settings) { settings.flow_control = {.pause = {.receive = pause}}; }));
    expect_link();
  }
  ASSERT_TRUE(port->stop());
  ASSERT_TRUE(port->start());
  watch();
  expect_link();
}

}  // namespace
}  // namespace pollux
