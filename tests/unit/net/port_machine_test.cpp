// SPDX-License-Identifier: BSD-3-Clause
// Which driver functions are called, in which order, and what happens to the port if one fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scripted_driver.hpp"

namespace pollux {
namespace {

using test::Machine;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(Machine, CallsTheDriverInOrder) {
  open();
  EXPECT_THAT(script_.calls, IsEmpty());
  ASSERT_TRUE(test::configure_port(*port_, {.rx = {}}));
  ASSERT_TRUE(port_->start());
  EXPECT_THAT(script_.calls, ElementsAre("configure", "fill", "start", "open_queues"));
  script_.calls.clear();
  ASSERT_TRUE(port_->stop());
  EXPECT_THAT(script_.calls, ElementsAre("close_queues", "halt", "drain"));
  script_.calls.clear();
  ASSERT_TRUE(port_->close());
  EXPECT_THAT(script_.calls, ElementsAre("release", "retire"));
  EXPECT_EQ(removed_buffers(), 0u);
}

TEST_F(Machine, RestartsOneQueueStepByStep) {
  start();
  ASSERT_TRUE(test::restart_tx(*port_, 0, {.ring = 32}));
  EXPECT_THAT(script_.calls,
              ElementsAre("prepare", "close_queue 0", "halt_queue", "exchange", "start_queue", "open_queue"));
  EXPECT_EQ(port_->config().tx[0].ring, 32U);
  ASSERT_TRUE(port_->stop());
  script_.calls.clear();
  ASSERT_TRUE(test::restart_tx(*port_, 0, {.ring = 64}));
  EXPECT_THAT(script_.calls, ElementsAre("configure"));
}

TEST_F(Machine, KeepsAQueueWhoseRestartIsRefused) {
  start();
  const auto before = test::state_of(*port_);
  EXPECT_FALSE(test::restart_tx(*port_, 0, {.ring = 33}));
  EXPECT_THAT(script_.calls, IsEmpty());
  script_.prepare = ErrorCode::no_memory;
  EXPECT_EQ(test::restart_tx(*port_, 0, {.ring = 32}).error().code, ErrorCode::no_memory);
  EXPECT_THAT(script_.calls, ElementsAre("prepare"));
  script_.prepare.reset();
  script_.calls.clear();
  script_.close_queue = ErrorCode::timeout;
  EXPECT_EQ(test::restart_tx(*port_, 0, {.ring = 32}).error().code, ErrorCode::timeout);
  EXPECT_THAT(script_.calls, ElementsAre("prepare", "close_queue 0", "open_queue", "discard"));
  EXPECT_EQ(port_->state(), PortState::started);
  EXPECT_EQ(test::state_of(*port_), before);
  script_.restarts = false;
  const auto refused = test::restart_tx(*port_, 0, {.ring = 32});
  EXPECT_EQ(refused.error().code, ErrorCode::not_supported);
  EXPECT_THAT(refused.error().hint, HasSubstr("stop the port"));
}

TEST_F(Machine, FailsWhereAQueueDoesNotStopOrStart) {
  start();
  script_.halt_queue = ErrorCode::timeout;
  EXPECT_EQ(test::restart_tx(*port_, 0, {.ring = 32}).error().code, ErrorCode::timeout);
  EXPECT_THAT(script_.calls, ElementsAre("prepare", "close_queue 0", "halt_queue", "discard", "close_queues", "halt"));
  EXPECT_EQ(port_->state(), PortState::failed);
  EXPECT_EQ(test::restart_tx(*port_, 0, {}).error().code, ErrorCode::bad_state);
  script_ = {};
  start();
  script_.start_queue = ErrorCode::device_fault;
  EXPECT_EQ(test::restart_tx(*port_, 0, {.ring = 32}).error().code, ErrorCode::device_fault);
  EXPECT_THAT(script_.calls,
              ElementsAre("prepare", "close_queue 0", "halt_queue", "exchange", "start_queue", "close_queues", "halt"));
  EXPECT_EQ(port_->state(), PortState::failed);
}

TEST_F(Machine, CallsNothingInAWrongState) {
  open();
  EXPECT_EQ(port_->start().error().code, ErrorCode::bad_state);
  EXPECT_EQ(test::configure_port(*port_, {.rx = {}, .tx = std::vector<TxQueueConfig>(3)}).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(test::configure_port(*port_, {.rx = {}, .tx = {{.ring = 12}}}).error().code, ErrorCode::invalid_argument);
  for (const MacAddress& wrong : {MacAddress{1, 0, 0, 0, 0, 1}, MacAddress{}})
    EXPECT_EQ(test::set_mac(*port_, wrong).error().code, ErrorCode::invalid_argument);
  ASSERT_TRUE(test::configure_port(*port_, {.rx = {}}));
  EXPECT_EQ(test::set_mtu(*port_, 9001).error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(script_.calls, ElementsAre("configure"));
  EXPECT_EQ(port_->settings().mtu, 1500u);
}

TEST_F(Machine, AFailedStartIsUndone) {
  open();
  ASSERT_TRUE(test::configure_port(*port_, {.rx = {}}));
  script_.start = ErrorCode::timeout;
  script_.calls.clear();
  EXPECT_EQ(port_->start().error().code, ErrorCode::timeout);
  EXPECT_THAT(script_.calls, ElementsAre("fill", "start", "halt", "drain"));
  EXPECT_EQ(port_->state(), PortState::configured);
  script_.start.reset();
  EXPECT_TRUE(port_->start());
}

TEST_F(Machine, AStartWithARemovedCardFailsThePort) {
  open();
  ASSERT_TRUE(test::configure_port(*port_, {.rx = {}}));
  script_.start = ErrorCode::device_removed;
  EXPECT_EQ(port_->start().error().code, ErrorCode::device_removed);
  EXPECT_EQ(port_->state(), PortState::failed);
  script_.calls.clear();
  ASSERT_TRUE(port_->close());
  EXPECT_THAT(script_.calls, ElementsAre("release failed", "drain removed", "retire"));
  EXPECT_EQ(removed_buffers(), 7u);
}

TEST_F(Machine, ACardThatDoesNotStopKeepsItsMemory) {
  start();
  script_.halt = ErrorCode::timeout;
  script_.harmless = false;
  EXPECT_EQ(port_->stop().error().code, ErrorCode::timeout);
  EXPECT_EQ(port_->state(), PortState::failed);
  EXPECT_THAT(test::configure_port(*port_, {.rx = {}}).error().what, HasSubstr("halt failed"))
      << "the reason of the failure";
  script_.calls.clear();
  const auto closed = port_->close();
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().code, ErrorCode::timeout);
  EXPECT_THAT(closed.error().what, HasSubstr("cannot be used again"));
  EXPECT_THAT(script_.calls, ElementsAre("release failed"));
  EXPECT_EQ(port_->state(), PortState::closed);
  port_.reset();
  ASSERT_NE(script_.driver, nullptr);
  delete script_.driver;
}

TEST_F(Machine, AStuckPollerKeepsThePortStarted) {
  start();
  script_.close_queues = ErrorCode::timeout;
  EXPECT_EQ(port_->stop().error().code, ErrorCode::timeout);
  EXPECT_EQ(port_->close().error().code, ErrorCode::timeout);
  EXPECT_EQ(port_->state(), PortState::started);
  EXPECT_THAT(script_.calls, ElementsAre("close_queues", "close_queues"));
  script_.close_queues.reset();
  EXPECT_TRUE(port_->close());
  port_.reset();
  EXPECT_EQ(script_.driver, nullptr);
}

TEST_F(Machine, APortDestroyedUnderAPollerKeepsItsMemory) {
  start();
  script_.close_queues = ErrorCode::timeout;
  port_.reset();
  EXPECT_THAT(script_.calls, ElementsAre("close_queues", "release failed"));
  ASSERT_NE(script_.driver, nullptr);
  delete script_.driver;
}

TEST_F(Machine, AFailedServiceStopsThePort) {
  start();
  script_.service = ErrorCode::device_fault;
  EXPECT_EQ(port_->service().error().code, ErrorCode::device_fault);
  EXPECT_THAT(script_.calls, ElementsAre("service", "close_queues", "halt"));
  EXPECT_EQ(port_->state(), PortState::failed);
  EXPECT_FALSE(port_->link().up);
  EXPECT_EQ(port_->service().error().code, ErrorCode::device_fault) << "the driver is not called again";
  EXPECT_EQ(script_.calls.size(), 3u);
}

TEST_F(Machine, AnErrorOfReleaseIsReturnedAndThePortClosed) {
  start();
  script_.release = ErrorCode::timeout;
  EXPECT_EQ(port_->close().error().code, ErrorCode::timeout);
  EXPECT_EQ(port_->state(), PortState::closed);
  EXPECT_EQ(context_.state()->take_port_index(), 0) << "its index is free again";
}

TEST_F(Machine, RejectsAForwardPathBetweenTwoContexts) {
  open();
  ASSERT_TRUE(test::configure_port(*port_, {.rx = {}}));
  Context other({.huge_pages = HugePages::never});
  test::Script script;
  PortMachine second(other.state(), std::make_unique<test::ScriptedDriver>(script, other.state()->take_port_index()));
  EXPECT_EQ(port_->forward_path(0, second, 0).error().code, ErrorCode::bad_state);
  ASSERT_TRUE(test::configure_port(second, {.rx = {}}));
  EXPECT_THAT(port_->forward_path(0, second, 0).error().what, HasSubstr("another Context"));
}

}  // namespace
}  // namespace pollux
