// SPDX-License-Identifier: BSD-3-Clause
// Restarts one queue while its port runs.
#include <algorithm>

#include "conformance/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::conformance {
namespace {

class Restart : public Conformance {
 protected:
  /// Restarts a queue with a ring of `ring` slots and the fixture's pool and cache.
  void restart_rx(Port& port, std::uint16_t queue, std::uint32_t ring) {
    const auto restarted = test::restart_rx(port, queue, {.pool = *pool_, .cache = *cache_, .ring = ring});
    ASSERT_TRUE(restarted) << restarted.error().message();
    EXPECT_EQ(port.config().rx[queue].ring, ring);
  }
  void restart_tx(Port& port, std::uint16_t queue, std::uint32_t ring) {
    const auto restarted = test::restart_tx(port, queue, {.cache = *cache_, .ring = ring});
    ASSERT_TRUE(restarted) << restarted.error().message();
    EXPECT_EQ(port.config().tx[queue].ring, ring);
  }
};

CONFORMANCE_TEST_WHERE(Restart, CountsEveryLostFrame, traits.delivers&& traits.restarts_receive && !traits.by_file) {
  start_both();
  expect_exchange(make_frames(100, 64));
  send(left(), make_frames(20, 64));
  settle(left());
  for (int i = 0; i < 20; ++i) pass_time();
  restart_rx(right(), 0, 128);
  const std::size_t arrived = receive(right(), 20 - dropped(right(), "rx_stopped")).size();
  EXPECT_EQ(arrived + dropped(right(), "rx_stopped"), 20U);
  expect_exchange(make_frames(300, 64));
}

CONFORMANCE_TEST_WHERE(Restart, OfEachQueueResumesItsTraffic,
                       traits.delivers&& traits.restarts_receive && !traits.by_file) {
  start_both();
  for (const std::uint32_t ring : {32U, 256U, 64U}) {
    for (Port* port : {&left(), &right()}) {
      restart_tx(*port, 0, ring);
      restart_rx(*port, 0, ring);
    }
    expect_exchange(make_frames(3 * ring, 64));
  }
  for (Port* port : {&left(), &right()}) {
    EXPECT_EQ(dropped(*port, "tx_stopped"), 0U) << "a restart first sends the frames that the queue has taken";
    ASSERT_TRUE(port->stop());
    restart_rx(*port, 0, 128);
    restart_tx(*port, 0, 128);
    ASSERT_TRUE(port->start());
  }
  wait_for_links();
  expect_exchange(make_frames(300, 64));
}

CONFORMANCE_TEST_WHERE(Restart, DoesNotAffectTheOtherQueues,
                       traits.delivers&& traits.several_queues&& traits.restarts_one_queue && !traits.by_file) {
  pollux::Settings several = config();
  several.rx.resize(2, several.rx[0]);
  several.tx.resize(2, several.tx[0]);
  start_both(several, several);
  // A card receives frames without IP in queue 0. A ring port receives them in the queue on which they were sent.
  send(left(), make_frames(20, 64));
  settle(left());
  for (int i = 0; i < 20; ++i) pass_time();
  restart_rx(right(), 1, 128);
  restart_tx(right(), 1, 128);
  restart_tx(left(), 1, 128);
  EXPECT_EQ(receive(right(), 20), make_frames(20, 64));
  EXPECT_EQ(dropped(right(), "rx_stopped"), 0U);
  expect_exchange(make_frames(100, 64));
}

CONFORMANCE_TEST_WHERE(Restart, OneQueueIsStoppedAndStarted,
                       traits.delivers&& traits.restarts_receive && !traits.by_file) {
  start_both();
  expect_exchange(make_frames(50, 64));
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(right().stop_queue(QueueId::rx(0)));
    ASSERT_TRUE(right().stop_queue(QueueId::rx(0))) << "a stopped queue";
    ASSERT_TRUE(left().stop_queue(QueueId::tx(0)));
    EXPECT_TRUE(right().config().rx[0].stopped);
    EXPECT_TRUE(left().config().tx[0].stopped);
    Burst<4> burst;
    MbufPtr mbuf = make_mbuf(make_frame(64, 1));
    ASSERT_TRUE(burst.push(mbuf));
    EXPECT_EQ(left().tx(0).tx_burst(burst), 0U) << "a stopped queue takes nothing";
    EXPECT_EQ(right().rx(0).rx_burst(burst), 0U);
    burst = {};
    ASSERT_TRUE(right().start_queue(QueueId::rx(0)));
    ASSERT_TRUE(left().start_queue(QueueId::tx(0)));
    ASSERT_TRUE(left().start_queue(QueueId::tx(0))) << "a running queue";
    EXPECT_FALSE(right().config().rx[0].stopped);
    EXPECT_FALSE(left().config().tx[0].stopped);
    expect_exchange(make_frames(100, 64));
  }
  // The port's stop and start start it, too.
  ASSERT_TRUE(left().stop_queue(QueueId::tx(0)));
  ASSERT_TRUE(left().stop());
  EXPECT_EQ(left().stop_queue(QueueId::tx(0)).error().code, ErrorCode::bad_state);
  ASSERT_TRUE(left().start());
  wait_for_links();
  expect_exchange(make_frames(100, 64));
}

CONFORMANCE_TEST_WHERE(Restart, OthersRunWhileAQueueIsStopped,
                       traits.delivers&& traits.several_queues && !traits.by_file) {
  pollux::Settings several = config();
  several.rx.resize(2, several.rx[0]);
  several.tx.resize(2, several.tx[0]);
  start_both(several, several);
  ASSERT_TRUE(right().stop_queue(QueueId::rx(1)));
  ASSERT_TRUE(right().stop_queue(QueueId::tx(1)));
  ASSERT_TRUE(left().stop_queue(QueueId::rx(1)));
  ASSERT_TRUE(left().stop_queue(QueueId::tx(1)));
  expect_exchange(make_frames(100, 64));
  ASSERT_TRUE(left().start_queue(QueueId::tx(1)));
  ASSERT_TRUE(left().start_queue(QueueId::rx(1)));
  ASSERT_TRUE(right().stop());
  ASSERT_TRUE(right().start());
  wait_for_links();
  EXPECT_FALSE(right().config().rx[1].stopped);
  expect_exchange(make_frames(100, 64));
}

CONFORMANCE_TEST_WHERE(Restart, OfATransmitQueueAloneResumesItsTraffic,
                       traits.delivers && !traits.restarts_receive && !traits.by_file) {
  start_both();
  for (const std::uint32_t ring : {32U, 256U, 64U}) {
    for (Port* port : {&left(), &right()}) restart_tx(*port, 0, ring);
    expect_exchange(make_frames(3 * ring, 64));
  }
  EXPECT_EQ(dropped(left(), "tx_stopped"), 0U);
  const auto before = test::state_of(right());
  const auto restarted = test::restart_rx(right(), 0, {.pool = *pool_, .cache = *cache_, .ring = 128});
  EXPECT_EQ(restarted.error().code, ErrorCode::not_supported);
  EXPECT_EQ(right().stop_queue(QueueId::rx(0)).error().code, ErrorCode::not_supported);
  EXPECT_EQ(test::state_of(right()), before);
  expect_exchange(make_frames(100, 64));
  ASSERT_TRUE(right().stop());
  restart_rx(right(), 0, 128);
  ASSERT_TRUE(right().start());
  wait_for_links();
  expect_exchange(make_frames(300, 64));
}

CONFORMANCE_TEST(Restart, ThatIsRefusedChangesNothing) {
  pollux::Settings named = config();
  start_both(named, named);
  const auto before = test::state_of(right());
  EXPECT_EQ(test::restart_rx(right(), 63, {}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(test::restart_tx(right(), 63, {}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(right().stop_queue(QueueId::rx(63)).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(right().start_queue(QueueId::tx(63)).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(test::restart_rx(right(), 0, {.ring = 65}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(test::state_of(right()), before);
  EXPECT_EQ(right().state(), PortState::started);
  ASSERT_TRUE(right().close());
  EXPECT_EQ(test::restart_rx(right(), 0, {}).error().code, ErrorCode::bad_state);
}

}  // namespace
}  // namespace pollux::conformance
