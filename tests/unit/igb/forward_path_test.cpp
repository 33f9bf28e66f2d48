// SPDX-License-Identifier: BSD-3-Clause
// When a port creates a forward path, when it rejects one, and what happens to a path when its ports change.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

using testing::HasSubstr;

CardFixtureOptions not_started() {
  CardFixtureOptions options;
  options.start = false;
  return options;
}

/// A CardFixture whose port is configured and has a forward path to itself.
struct ForwardFixture : CardFixture {
  ForwardFixture() : CardFixture(not_started()) {
    EXPECT_TRUE(configure_port(port, config));
    path = std::move(port.forward_path(0, port, 0).value());
  }
  void start() {
    ASSERT_TRUE(port.start());
    ASSERT_TRUE(port.wait_for_link(std::chrono::seconds(10)));
    sent.clear();
  }
  std::uint32_t forward() {
    std::uint32_t moved = 0;
    for (int i = 0; i < 10; ++i) {
      moved += path->burst(32, [](ForwardedFrame&) {});
      clock->sleep_for(std::chrono::milliseconds(1));
    }
    return moved;
  }
  std::unique_ptr<ForwardPath> path;
};

void expect_refused(const Result<std::unique_ptr<ForwardPath>>& path, ErrorCode code, const char* what) {
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().code, code);
  EXPECT_THAT(path.error().message(), HasSubstr(what));
  EXPECT_NE(path.error().hint, "");
}

TEST(ForwardPath, IsMadeBetweenConfigureAndStart) {
  CardFixture fixture(not_started());
  expect_refused(fixture.port.forward_path(0, fixture.port, 0), ErrorCode::bad_state, "forward_path");
  ASSERT_TRUE(configure_port(fixture.port, fixture.config));
  ASSERT_TRUE(fixture.port.forward_path(0, fixture.port, 0));
  ASSERT_TRUE(fixture.port.start());
  expect_refused(fixture.port.forward_path(0, fixture.port, 0), ErrorCode::bad_state, "forward_path");
}

TEST(ForwardPath, NeedsQueuesThatExistAndAreFree) {
  ForwardFixture fixture;
  expect_refused(fixture.port.forward_path(1, fixture.port, 0), ErrorCode::invalid_argument,
                 "receive queue 1 does not exist");
  expect_refused(fixture.port.forward_path(0, fixture.port, 0), ErrorCode::invalid_argument,
                 "receive queue 0 already has a path");
  CardFixture other(not_started());
  ASSERT_TRUE(configure_port(other.port, other.config));
  expect_refused(other.port.forward_path(0, other.port, 7), ErrorCode::invalid_argument,
                 "transmit queue 7 does not exist");
  expect_refused(other.port.forward_path(0, fixture.port, 0), ErrorCode::invalid_argument, "another Context");
}

/// An observer that must not be called.
struct Watcher final : RxObserver, TxObserver {
  void received(const RxQueue&, std::span<Mbuf* const>) noexcept override { ADD_FAILURE(); }
  void sending(const TxQueue&, std::span<Mbuf* const>) noexcept override { ADD_FAILURE(); }
  void sent(const TxQueue&, std::uint32_t) noexcept override { ADD_FAILURE(); }
};

TEST(ForwardPath, IsNotObservedSinceItsFramesAreInNoBurst) {
  Watcher watcher;
  RxObserver& rx = watcher;
  TxObserver& tx = watcher;
  ForwardFixture fixture;
  for (const auto& attached : {fixture.port.attach_observer(0, rx), fixture.port.attach_observer(0, tx)}) {
    ASSERT_FALSE(attached);
    EXPECT_EQ(attached.error().code, ErrorCode::busy);
    EXPECT_THAT(attached.error().message(), HasSubstr("forward path"));
  }
  fixture.path.reset();
  ASSERT_TRUE(fixture.port.attach_observer(0, rx));
  expect_refused(fixture.port.forward_path(0, fixture.port, 0), ErrorCode::invalid_argument, "has an observer");
  ASSERT_TRUE(fixture.port.detach_observer(0, rx));
  ASSERT_TRUE(fixture.port.attach_observer(0, tx));
  expect_refused(fixture.port.forward_path(0, fixture.port, 0), ErrorCode::invalid_argument, "has an observer");
  ASSERT_TRUE(fixture.port.detach_observer(0, tx));
  EXPECT_TRUE(fixture.port.forward_path(0, fixture.port, 0));
}

TEST(ForwardPath, NeedsTwoPortsOfTheSameDriver) {
  CardFixture fixture(not_started());
  ASSERT_TRUE(configure_port(fixture.port, fixture.config));
  auto null = open_unconfigured(fixture.context, "null:");
  ASSERT_TRUE(null) << null.error().message();
  ASSERT_TRUE(configure_port(*null, {.rx = {}}));
  expect_refused(fixture.port.forward_path(0, *null, 0), ErrorCode::not_supported, "another driver");
  expect_refused(null->forward_path(0, fixture.port, 0), ErrorCode::not_supported, "no forward path");
}

TEST(ForwardPath, MovesFramesAndCountsThem) {
  ForwardFixture fixture;
  fixture.start();
  for (unsigned i = 0; i < 20; ++i) fixture.inject(counting_frame(60 + i, i));
  EXPECT_EQ(fixture.forward(), 20u);
  ASSERT_EQ(fixture.sent.size(), 20u);
  EXPECT_EQ(fixture.sent[7], counting_frame(67, 7));
  EXPECT_EQ(fixture.port.stats().rx_burst_packets, 20u);
  EXPECT_EQ(fixture.port.stats().tx_burst_packets, 20u);
  EXPECT_EQ(fixture.pool.stats().in_use(), fixture.config.rx[0].ring + fixture.config.tx[0].ring);
  ASSERT_TRUE(fixture.port.stop());
  EXPECT_EQ(fixture.pool.stats().in_use(), 0u);
}

TEST(ForwardPath, IsIdleWhileItsPortIsStopped) {
  ForwardFixture fixture;
  EXPECT_EQ(fixture.forward(), 0u);
  fixture.start();
  ASSERT_TRUE(fixture.port.stop());
  EXPECT_EQ(fixture.forward(), 0u);
  fixture.start();
  fixture.inject(counting_frame(60));
  EXPECT_EQ(fixture.forward(), 1u);
}

TEST(ForwardPath, ReturnsTheQueuesWhileTheyRun) {
  ForwardFixture fixture;
  fixture.start();
  fixture.inject(counting_frame(60));
  EXPECT_EQ(fixture.rx_burst().size(), 0u) << "the path polls the queue";
  EXPECT_EQ(fixture.forward(), 1u);
  fixture.path.reset();
  fixture.inject(counting_frame(61));
  EXPECT_EQ(fixture.receive_all().size(), 1u);
  EXPECT_TRUE(fixture.transmit(counting_frame(62)));
  EXPECT_TRUE(fixture.every_mbuf_accounted_for());
}

TEST(ForwardPath, IsDetachedWhenItsPortIsConfiguredAgain) {
  ForwardFixture fixture;
  fixture.config.rx[0].ring = 128;
  ASSERT_TRUE(configure_port(fixture.port, fixture.config));
  fixture.start();
  fixture.inject(counting_frame(60));
  EXPECT_EQ(fixture.forward(), 0u);
  EXPECT_EQ(fixture.receive_all().size(), 1u);
}

TEST(ForwardPath, IsDetachedFromAQueueThatNoLongerExists) {
  Context context;
  const Mempool pool = Mempool::create(context, {.count = 1024}).value();
  Port in = open_unconfigured(context, "sim:0").value();
  Port out = open_unconfigured(context, "sim:1").value();
  Settings config{.rx = {2, {.pool = pool, .ring = 64}}, .tx = {2, {.ring = 64}}};
  ASSERT_TRUE(configure_port(in, config));
  ASSERT_TRUE(configure_port(out, config));
  const auto path = in.forward_path(1, out, 0);
  const auto return_path = out.forward_path(1, in, 1);
  ASSERT_TRUE(path && return_path);
  config.rx.resize(1, config.rx[0]);
  config.tx.resize(1, config.tx[0]);
  ASSERT_TRUE(configure_port(in, config));
  EXPECT_TRUE(out.forward_path(0, out, 0)) << "the transmit queue is free again";
  EXPECT_TRUE(out.forward_path(1, out, 1)) << "the receive queue is free again";
}

TEST(ForwardPath, OutlivesItsPort) {
  ForwardFixture fixture;
  fixture.start();
  ASSERT_TRUE(fixture.port.close());
  EXPECT_EQ(fixture.forward(), 0u);
  EXPECT_EQ(fixture.pool.stats().in_use(), 0u);
}

TEST(ForwardPath, StartFailsIfThePoolIsTooSmallForItsSpares) {
  CardFixtureOptions options = not_started();
  options.pool.count = 100;  // 64 for the receive ring, and 64 more
  CardFixture fixture(options);
  ASSERT_TRUE(configure_port(fixture.port, fixture.config));
  auto path = fixture.port.forward_path(0, fixture.port, 0);
  ASSERT_TRUE(path);
  const auto started = fixture.port.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::no_memory);
  EXPECT_THAT(started.error().message(), HasSubstr("forward path's transmit ring needs 64"));
  EXPECT_EQ(fixture.pool.stats().in_use(), 0u);
  path->reset();
  EXPECT_TRUE(fixture.port.start()) << "without the path there are enough mbufs";
}

}  // namespace
}  // namespace pollux::test
