// SPDX-License-Identifier: BSD-3-Clause
// NAPI's contract: weights and budget, enabling and disabling, scheduling, and handlers that misbehave.
#include "pollux/runtime/poller.hpp"

#include <gmock/gmock.h>

#include <stdexcept>

#include "fake_queue.hpp"

namespace pollux::test {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

using PollerTest = PollerFixture;

TEST_F(PollerTest, PassesFramesToTheHandlerOfTheirQueue) {
  FakeQueue first(cache_);
  FakeQueue second(cache_);
  std::uint64_t from_first = 0;
  std::uint64_t from_second = 0;
  Poller poller(context_);
  PolledQueue& polled = *must(poller.add(first, counting(from_first)));
  PolledQueue& other = *must(poller.add(second, counting(from_second), {.name = "second"}));
  first.put(3);
  second.put(5);
  EXPECT_EQ(run(poller), 8U);
  EXPECT_EQ(from_first, 3U);
  EXPECT_EQ(from_second, 5U);
  EXPECT_EQ(polled.stats().frames, 3U);
  EXPECT_EQ(polled.name(), "queue 0");
  EXPECT_EQ(other.name(), "second");
}

TEST_F(PollerTest, AQueueDeliversAtMostItsWeightInATurn) {
  FakeQueue small(cache_);
  FakeQueue large(cache_);
  std::uint64_t from_small = 0;
  std::uint64_t from_large = 0;
  Poller poller(context_);
  must(poller.add(small, counting(from_small), {.weight = 10}));
  must(poller.add(large, counting(from_large), {.weight = 100}));
  small.put(500);
  large.put(500);
  EXPECT_EQ(run(poller), 110U);
  EXPECT_EQ(from_small, 10U);
  EXPECT_EQ(from_large, 100U);
  EXPECT_THAT(small.limits, ElementsAre(10));
  EXPECT_THAT(large.limits, ElementsAre(64, 36)) << "a burst has room for 64";
}

TEST_F(PollerTest, ATurnThatTheBudgetEndsIsContinued) {
  FakeQueue first(cache_);
  FakeQueue second(cache_);
  std::uint64_t from_first = 0;
  std::uint64_t from_second = 0;
  Poller poller(context_, {.budget = 50});
  must(poller.add(first, counting(from_first), {.weight = 64}));
  must(poller.add(second, counting(from_second), {.weight = 32}));
  first.put(1000);
  second.put(1000);
  EXPECT_EQ(run(poller), 50U);
  EXPECT_EQ(from_first, 50U);
  EXPECT_EQ(run(poller), 14U + 32U);
  EXPECT_EQ(from_first, 64U);
  EXPECT_EQ(from_second, 32U);
  EXPECT_EQ(run(poller), 50U);
  EXPECT_EQ(from_first, 64U + 50U);
  for (int i = 0; i < 60; ++i) run(poller);
  EXPECT_EQ(from_first + from_second, 2000U) << "nothing is left behind";
}

TEST_F(PollerTest, RejectsASenselessQueueWholeAndByName) {
  FakeQueue queue(cache_);
  FakeQueue sleepless(cache_, false);
  std::uint64_t frames = 0;
  Poller poller(context_);
  for (const std::uint32_t weight : {0U, 1025U, ~0U}) {
    const auto refused = poller.add(queue, counting(frames), {.weight = weight});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(refused.error().message(), HasSubstr("outside of 1 to 1024"));
  }
  EXPECT_EQ(poller.add(queue, counting(frames), {.mode = static_cast<PollMode>(3)}).error().code,
            ErrorCode::invalid_argument);
  const auto cannot = poller.add(sleepless, counting(frames), {.mode = PollMode::interrupt});
  ASSERT_FALSE(cannot);
  EXPECT_EQ(cannot.error().code, ErrorCode::not_supported);
  EXPECT_THAT(cannot.error().message(), HasSubstr("no descriptor"));
  queue.put(1);
  EXPECT_EQ(run(poller), 0U);
  EXPECT_TRUE(queue.limits.empty()) << "a rejected queue is not polled";
  ASSERT_TRUE(poller.add(queue, counting(frames), {.name = "rx"}));
  const auto twice = poller.add(queue, counting(frames));
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, ErrorCode::busy);
  EXPECT_THAT(twice.error().message(), HasSubstr("as rx"));
}

TEST_F(PollerTest, ADisabledQueueIsNotTouchedUntilItIsEnabled) {
  FakeQueue queue(cache_);
  std::uint64_t frames = 0;
  Poller poller(context_);
  PolledQueue& polled = *must(poller.add(queue, counting(frames), {.enabled = false}));
  queue.put(2);
  EXPECT_EQ(run(poller), 0U);
  EXPECT_FALSE(polled.is_enabled());
  EXPECT_FALSE(polled.schedule());
  polled.enable();
  polled.enable();
  EXPECT_EQ(run(poller), 2U);
  EXPECT_TRUE(polled.schedule());
  ASSERT_TRUE(polled.disable());
  polled.enable();
  EXPECT_TRUE(polled.schedule()) << "to disable a queue ends that it is scheduled";
  ASSERT_TRUE(polled.disable());
  ASSERT_TRUE(polled.disable());
  queue.put(2);
  const unsigned arms = queue.arms;
  EXPECT_EQ(run(poller), 0U);
  EXPECT_EQ(queue.limits.size(), 1U);
  EXPECT_EQ(queue.arms, arms);
}

TEST_F(PollerTest, DisablingDisarmsAndAHandlerMayDisableItsOwnQueue) {
  FakeQueue queue(cache_);
  FakeQueue other(cache_);
  std::uint64_t frames = 0;
  PolledQueue* polled = nullptr;
  Poller poller(context_);
  polled = must(poller.add(queue, [&](Burst<64>& burst) {
    counting(frames)(burst);
    EXPECT_TRUE(polled->disable());
  }));
  PolledQueue& second = *must(poller.add(other, counting(frames), {.mode = PollMode::interrupt}));
  queue.put(100);
  EXPECT_EQ(run(poller), 64U);
  EXPECT_EQ(run(poller), 0U);
  EXPECT_TRUE(other.armed);
  ASSERT_TRUE(second.disable());
  EXPECT_FALSE(other.armed);
  EXPECT_EQ(other.disarms, 1U);
}

TEST_F(PollerTest, AQueueThatIsScheduledIsNotScheduledTwice) {
  FakeQueue queue(cache_);
  std::uint64_t frames = 0;
  Poller poller(context_);
  PolledQueue& polled = *must(poller.add(queue, counting(frames), {.mode = PollMode::interrupt}));
  run(poller);
  run(poller);
  const auto polls = queue.limits.size();
  const Time before = clock_->now();
  EXPECT_TRUE(polled.schedule());
  EXPECT_FALSE(polled.schedule());
  queue.waiting = 1;  // without an event
  EXPECT_EQ(run(poller), 1U);
  EXPECT_EQ(clock_->now(), before) << "it did not sleep";
  EXPECT_EQ(queue.limits.size(), polls + 1);
  EXPECT_TRUE(polled.schedule());
}

TEST_F(PollerTest, AHandlerMayScheduleItsQueueAgain) {
  FakeQueue queue(cache_);
  PolledQueue* polled = nullptr;
  Poller poller(context_);
  polled = must(poller.add(queue,
                           [&](Burst<64>& burst) {
                             burst.drop(handled_, cache_);
                             EXPECT_TRUE(polled->schedule());
                           },
                           {.mode = PollMode::interrupt}));
  queue.put(1);
  run(poller);
  EXPECT_EQ(run(poller), 0U);
  EXPECT_EQ(queue.limits.size(), 2U);
  EXPECT_FALSE(queue.armed);
  const Time before = clock_->now();
  EXPECT_EQ(run(poller), 0U);
  EXPECT_TRUE(queue.armed) << "the poll that was asked for has been made, so it sleeps";
  EXPECT_GT(clock_->now(), before);
}

TEST_F(PollerTest, FramesThatAHandlerLeavesAreDroppedByName) {
  FakeQueue queue(cache_);
  Poller poller(context_);
  PolledQueue& polled = *must(poller.add(queue, [&](Burst<64>& burst) { burst.pop().reset(); }));
  queue.put(5);
  EXPECT_EQ(run(poller), 5U);
  EXPECT_EQ(polled.stats().poller_left, 4U);
  EXPECT_EQ(pool_.stats().unnamed_drops, 0U);
}

TEST_F(PollerTest, AHandlerThatThrowsIsNamedAndStopsNoOther) {
  FakeQueue bad(cache_);
  FakeQueue good(cache_);
  std::uint64_t frames = 0;
  Poller poller(context_);
  PolledQueue& throwing = *must(
      poller.add(bad, [](Burst<64>&) { throw std::runtime_error("no such route"); }, {.weight = 2, .name = "uplink"}));
  must(poller.add(good, counting(frames)));
  bad.put(4);
  good.put(3);
  EXPECT_EQ(run(poller), 5U);
  EXPECT_EQ(run(poller), 2U);
  EXPECT_EQ(frames, 3U);
  EXPECT_EQ(throwing.stats().exceptions, 2U);
  EXPECT_EQ(throwing.stats().poller_exception, 4U);
  EXPECT_EQ(throwing.stats().poller_left, 0U);
  EXPECT_EQ(poller.exceptions(), 2U);
  EXPECT_THAT(log_, ElementsAre(HasSubstr("uplink threw an exception: no such route"))) << "logged once";
}

TEST_F(PollerTest, ReportsExceptionsToTheProgram) {
  FakeQueue queue(cache_);
  std::vector<std::string> names;
  Poller poller(context_, {.on_exception = [&](std::string_view name, std::exception_ptr) {
                  names.emplace_back(name);
                  throw 1;
                }});
  must(poller.add(queue, [](Burst<64>&) { throw 2; }, {.weight = 1}));
  queue.put(2);
  run(poller);
  run(poller);
  EXPECT_THAT(names, ElementsAre("queue 0", "queue 0"));
  EXPECT_EQ(poller.exceptions(), 4U) << "those of on_exception, too";
  EXPECT_TRUE(log_.empty());
}

TEST_F(PollerTest, HandlersMayAddAndRemoveQueues) {
  FakeQueue first(cache_);
  FakeQueue second(cache_);
  std::uint64_t frames = 0;
  PolledQueue* polled = nullptr;
  Poller poller(context_);
  auto alive = std::make_shared<int>(1);
  polled = must(poller.add(first, [&, alive](Burst<64>& burst) {
    counting(frames)(burst);
    EXPECT_TRUE(poller.add(second, counting(frames)));
    EXPECT_TRUE(poller.remove(*polled));
    EXPECT_TRUE(poller.add(first, counting(frames)));
    EXPECT_EQ(*alive, 1) << "the handler still exists";
  }));
  first.put(64);
  second.put(2);
  EXPECT_EQ(run(poller), 66U);
  EXPECT_EQ(alive.use_count(), 1) << "the removed handler is gone";
  first.put(3);
  EXPECT_EQ(run(poller), 3U);
}

TEST_F(PollerTest, RunOnceInACallbackIsRejected) {
  FakeQueue queue(cache_);
  Poller poller(context_);
  Result<std::uint32_t> inner = 0U;
  must(poller.add(queue, [&](Burst<64>& burst) {
    burst.drop(handled_);
    inner = poller.run_once();
  }));
  queue.put(1);
  EXPECT_EQ(run(poller), 1U);
  ASSERT_FALSE(inner);
  EXPECT_EQ(inner.error().code, ErrorCode::bad_state);
}

TEST_F(PollerTest, TheHandlersBurstSetsTheLargestPoll) {
  FakeQueue queue(cache_);
  Poller poller(context_);
  must(poller.add(queue, [&](Burst<16>& burst) { burst.drop(handled_); }, {.weight = 40}));
  queue.put(100);
  EXPECT_EQ(run(poller), 40U);
  EXPECT_THAT(queue.limits, ElementsAre(16, 16, 8));
  static_assert(!BurstHandler<void (*)(int)>);
  static_assert(handler_capacity<void (*)(Burst<128>&)>(HandlerCapacities()) == 128);
}

}  // namespace
}  // namespace pollux::test
