// SPDX-License-Identifier: BSD-3-Clause
// Sleeping on the receive queues of an 82576: vectors, masks, and queues that share a vector. The conformance suite
// tests what every port has to do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <array>

#include "support/settings_edits.hpp"
#include "unit/igb/sleep_fixture.hpp"

namespace pollux::drivers::igb {
namespace {

using std::chrono::milliseconds;

TEST_F(SleepOnACard, OnlyAnArmedQueueGetsMessagesAndEachMasksItsVector) {
  start(1);
  for (int i = 0; i < 3; ++i) inject_to(0);
  EXPECT_EQ(poll(0), 3U);
  EXPECT_EQ(messages(), 0U);
  EXPECT_EQ(unmasked_queues(), 0U);
  // The card remembers the cause of the masked vector, so the first message comes at once.
  ASSERT_TRUE(rx(0).arm());
  EXPECT_TRUE(has_event(rx(0)));
  EXPECT_EQ(messages(), 1U);
  ASSERT_TRUE(rx(0).arm());
  EXPECT_FALSE(has_event(rx(0)));
  EXPECT_EQ(unmasked_queues(), 2U);
  for (int i = 0; i < 3; ++i) inject_to(0);
  EXPECT_TRUE(has_event(rx(0)));
  EXPECT_EQ(messages(), 2U) << "one for three frames";
  EXPECT_EQ(unmasked_queues(), 0U);
  EXPECT_FALSE(rx(0).arm());
  EXPECT_FALSE(has_event(rx(0)));
}

TEST_F(SleepOnACard, BurstsAccessNoInterruptRegisterAlsoWhileArmed) {
  start(1);
  ASSERT_TRUE(rx(0).arm());
  fixture->faults->writes.clear();
  for (int i = 0; i < 200; ++i) {
    inject_to(0);
    EXPECT_EQ(poll(0), 1U);
  }
  for (const auto& [offset, value] : fixture->faults->writes) EXPECT_EQ(offset, reg::RDT::offset(0));
  EXPECT_EQ(messages(), 1U);
}

TEST_F(SleepOnACard, DisarmingMasksTheVectorOfItsLastArmedQueue) {
  start(2, 2);  // one vector for both queues
  ASSERT_TRUE(rx(0).arm());
  ASSERT_TRUE(rx(1).arm());
  EXPECT_EQ(unmasked_queues(), 2U);
  rx(0).disarm();
  EXPECT_EQ(unmasked_queues(), 2U) << "the other queue still waits";
  rx(0).disarm();
  EXPECT_EQ(unmasked_queues(), 2U);
  rx(1).disarm();
  EXPECT_EQ(unmasked_queues(), 0U);
  inject_to(1);
  EXPECT_FALSE(has_event(rx(1)));
}

TEST_F(SleepOnACard, QueuesShareVectorsInTurnIfThereAreFewer) {
  start(4, 4);
  for (std::uint32_t queue = 0; queue < 4; ++queue) {
    const auto vectors = fixture->value<reg::IVAR>(queue);
    EXPECT_TRUE(vectors.has(reg::IVAR::RX_LOW_VALID));
    EXPECT_FALSE(vectors.has_any(reg::IVAR::RX_HIGH_VALID | reg::IVAR::TX_LOW_VALID | reg::IVAR::TX_HIGH_VALID));
    EXPECT_EQ(vectors.get(reg::IVAR::RX_LOW), 1 + queue % 3);
  }
}

TEST_F(SleepOnACard, SixteenQueuesHaveAVectorEach) {
  start(16);
  for (std::uint16_t queue = 0; queue < 16; ++queue) {
    ASSERT_TRUE(rx(queue).arm());
    EXPECT_EQ(unmasked_queues(), 2U << queue);
    inject_to(queue);
    EXPECT_TRUE(has_event(rx(queue)));
    EXPECT_EQ(unmasked_queues(), 0U);
  }
}

TEST_F(SleepOnACard, ClearingTheEventOfOneQueueTakesNoEventFromAnother) {
  start(2, 2);
  ASSERT_TRUE(rx(0).arm());
  ASSERT_TRUE(rx(1).arm());
  inject_to(1);
  EXPECT_TRUE(has_event(rx(1)));
  EXPECT_TRUE(has_event(rx(0))) << "the message masked the vector, so queue 0 has to arm itself again";
  ASSERT_TRUE(rx(0).arm());
  EXPECT_FALSE(has_event(rx(0)));
  EXPECT_TRUE(has_event(rx(1))) << "its event is still unread";
  rx(0).disarm();
  EXPECT_TRUE(has_event(rx(1)));
  EXPECT_FALSE(rx(1).arm());
  EXPECT_EQ(poll(1), 1U);
}

TEST_F(SleepOnACard, WakesInVirtualTimeWhenAFrameArrives) {
  start(1);
  ASSERT_TRUE(rx(0).arm());
  const Time start = fixture->clock->now();
  fixture->clock->follow([&, done = false](Duration now) mutable {
    if (!done && now >= start + milliseconds(3)) inject_to(0);
    done = done || now >= start + milliseconds(3);
  });
  std::array waiting{pollfd{rx(0).event_fd(), POLLIN, 0}};
  EXPECT_EQ(fixture->clock->wait(waiting, start + milliseconds(500)).value_or(9), 1U);
  EXPECT_EQ(fixture->clock->now() - start, milliseconds(3));
  rx(0).disarm();
  EXPECT_EQ(poll(0), 1U);
}

TEST_F(SleepOnACard, WithoutVectorsThereIsNoDescriptor) {
  start(1, 0);
  EXPECT_EQ(rx(0).event_fd(), -1);
  EXPECT_FALSE(rx(0).arm());
  rx(0).disarm();
  inject_to(0);
  EXPECT_EQ(poll(0), 1U);
}

TEST_F(SleepOnACard, OneVectorServesAllQueues) {
  start(2, 1);
  ASSERT_TRUE(rx(1).arm());
  EXPECT_EQ(unmasked(), 1U);
  inject_to(1);
  EXPECT_TRUE(has_event(rx(1)));
}

TEST_F(SleepOnACard, IsPolledIfTheVectorsCannotBeEnabled) {
  fixture.emplace();
  fixture->faults->interrupt_error = Error{ErrorCode::io_error, "no eventfd", "raise ulimit -n"};
  port = fixture->started();
  EXPECT_TRUE(fixture->has_logged("no eventfd"));
  EXPECT_GE(rx(0).event_fd(), 0);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(rx(0).arm());
  inject_to(0);
  EXPECT_EQ(poll(0), 1U);
  // The next start tries again.
  ASSERT_TRUE(port->stop());
  fixture->faults->interrupt_error.reset();
  ASSERT_TRUE(port->start());
  EXPECT_FALSE(rx(0).arm());
  EXPECT_TRUE(rx(0).arm());
}

TEST_F(SleepOnACard, ARestartedQueueWakesItsThread) {
  start(2);
  ASSERT_TRUE(rx(1).arm());
  EXPECT_FALSE(has_event(rx(1)));
  ASSERT_TRUE(test::restart_rx(*port, 1, {.pool = fixture->pool, .ring = 128}));
  EXPECT_TRUE(has_event(rx(1)));
  EXPECT_FALSE(rx(1).arm());
  ASSERT_TRUE(rx(1).arm());
  inject_to(1);
  EXPECT_TRUE(has_event(rx(1)));
}

TEST_F(SleepOnACard, AQueueOfAForwardPathIsNeverArmed) {
  fixture.emplace();
  port = fixture->open();
  ASSERT_TRUE(test::configure_port(*port, fixture->config()));
  auto path = port->forward_path(0, *port, 0);
  ASSERT_TRUE(path);
  ASSERT_TRUE(port->start());
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(rx(0).arm());
}

TEST_F(SleepOnACard, ARemovedCardWakesItsThreadWhenItsServiceNotices) {
  start(1);
  ASSERT_TRUE(rx(0).arm());
  fixture->faults->removed = true;
  EXPECT_FALSE(port->service());
  EXPECT_TRUE(has_event(rx(0)));
}

}  // namespace
}  // namespace pollux::drivers::igb
