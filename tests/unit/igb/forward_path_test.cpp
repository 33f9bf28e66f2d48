// SPDX-License-Identifier: BSD-3-Clause
// When a port gives a forward path, when it refuses one, and what becomes of one when its ports change under it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/lab.hpp"

namespace pollux::test {
namespace {

using testing::HasSubstr;

LabOptions not_started() {
  LabOptions options;
  options.start = false;
  return options;
}

/// A Lab whose port is configured, and forwards back out of itself.
struct ForwardLab : Lab {
  ForwardLab() : Lab(not_started()) {
    EXPECT_TRUE(port.configure(config));
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
  Lab lab(not_started());
  expect_refused(lab.port.forward_path(0, lab.port, 0), ErrorCode::bad_state, "forward_path");
  ASSERT_TRUE(lab.port.configure(lab.config));
  ASSERT_TRUE(lab.port.forward_path(0, lab.port, 0));
  ASSERT_TRUE(lab.port.start());
  expect_refused(lab.port.forward_path(0, lab.port, 0), ErrorCode::bad_state, "forward_path");
}

TEST(ForwardPath, NeedsQueuesThatAreThereAndFree) {
  ForwardLab lab;
  expect_refused(lab.port.forward_path(1, lab.port, 0), ErrorCode::invalid_argument, "no receive queue 1");
  expect_refused(lab.port.forward_path(0, lab.port, 0), ErrorCode::invalid_argument, "receive queue 0 has a path");
  Lab other(not_started());
  ASSERT_TRUE(other.port.configure(other.config));
  expect_refused(other.port.forward_path(0, other.port, 7), ErrorCode::invalid_argument, "no transmit queue 7");
  expect_refused(other.port.forward_path(0, lab.port, 0), ErrorCode::invalid_argument, "another Context");
}

TEST(ForwardPath, LeadsFromDriverToSameDriver) {
  Lab lab(not_started());
  ASSERT_TRUE(lab.port.configure(lab.config));
  auto null = open_unconfigured(lab.context, "null:");
  ASSERT_TRUE(null) << null.error().message();
  ASSERT_TRUE(null->configure({.rx_queues = 0}));
  expect_refused(lab.port.forward_path(0, *null, 0), ErrorCode::not_supported, "another driver");
  expect_refused(null->forward_path(0, lab.port, 0), ErrorCode::not_supported, "no forward path");
}

TEST(ForwardPath, MovesFramesAndCountsThem) {
  ForwardLab lab;
  lab.start();
  for (unsigned i = 0; i < 20; ++i) lab.inject(counting_frame(60 + i, i));
  EXPECT_EQ(lab.forward(), 20u);
  ASSERT_EQ(lab.sent.size(), 20u);
  EXPECT_EQ(lab.sent[7], counting_frame(67, 7));
  EXPECT_EQ(lab.port.stats().rx_burst_packets, 20u);
  EXPECT_EQ(lab.port.stats().tx_burst_packets, 20u);
  EXPECT_EQ(lab.pool.stats().in_use(), lab.config.rx_ring + lab.config.tx_ring);
  ASSERT_TRUE(lab.port.stop());
  EXPECT_EQ(lab.pool.stats().in_use(), 0u);
}

TEST(ForwardPath, RestsWhileItsPortIsStoppedAndGoesOnAfterwards) {
  ForwardLab lab;
  EXPECT_EQ(lab.forward(), 0u);
  lab.start();
  ASSERT_TRUE(lab.port.stop());
  EXPECT_EQ(lab.forward(), 0u);
  lab.start();
  lab.inject(counting_frame(60));
  EXPECT_EQ(lab.forward(), 1u);
}

TEST(ForwardPath, GivesTheQueuesBackWhileTheyRun) {
  ForwardLab lab;
  lab.start();
  lab.inject(counting_frame(60));
  EXPECT_EQ(lab.rx_burst().size(), 0u) << "the queue is the path's";
  EXPECT_EQ(lab.forward(), 1u);
  lab.path.reset();
  lab.inject(counting_frame(61));
  EXPECT_EQ(lab.receive_all().size(), 1u);
  EXPECT_TRUE(lab.transmit(counting_frame(62)));
  EXPECT_TRUE(lab.every_mbuf_accounted_for());
}

TEST(ForwardPath, IsLetGoByAPortThatIsConfiguredAnew) {
  ForwardLab lab;
  ASSERT_TRUE(lab.port.configure(lab.config));
  lab.start();
  lab.inject(counting_frame(60));
  EXPECT_EQ(lab.forward(), 0u);
  EXPECT_EQ(lab.receive_all().size(), 1u);
}

TEST(ForwardPath, IsLetGoWithAQueueThatIsThereNoMore) {
  Context context;
  const Mempool pool = Mempool::create(context, {.count = 1024}).value();
  Port in = open_unconfigured(context, "sim:0").value();
  Port out = open_unconfigured(context, "sim:1").value();
  PortConfig config{.rx_pool = &pool, .rx_queues = 2, .tx_queues = 2, .rx_ring = 64, .tx_ring = 64};
  ASSERT_TRUE(in.configure(config));
  ASSERT_TRUE(out.configure(config));
  const auto path = in.forward_path(1, out, 0);
  const auto way_back = out.forward_path(1, in, 1);
  ASSERT_TRUE(path && way_back);
  config.rx_queues = config.tx_queues = 1;
  ASSERT_TRUE(in.configure(config));
  EXPECT_TRUE(out.forward_path(0, out, 0)) << "its transmit queue is free again";
  EXPECT_TRUE(out.forward_path(1, out, 1)) << "and its receive queue";
}

TEST(ForwardPath, OutlivesItsPort) {
  ForwardLab lab;
  lab.start();
  ASSERT_TRUE(lab.port.close());
  EXPECT_EQ(lab.forward(), 0u);
  EXPECT_EQ(lab.pool.stats().in_use(), 0u);
}

TEST(ForwardPath, StartSaysThatThePoolIsTooSmallForItsSpares) {
  LabOptions options = not_started();
  options.pool.count = 100;  // 64 for the receive ring, and 64 more
  Lab lab(options);
  ASSERT_TRUE(lab.port.configure(lab.config));
  auto path = lab.port.forward_path(0, lab.port, 0);
  ASSERT_TRUE(path);
  const auto started = lab.port.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::no_memory);
  EXPECT_THAT(started.error().message(), HasSubstr("forward path's transmit ring needs 64"));
  EXPECT_EQ(lab.pool.stats().in_use(), 0u);
  path->reset();
  EXPECT_TRUE(lab.port.start()) << "without it there are enough";
}

}  // namespace
}  // namespace pollux::test
