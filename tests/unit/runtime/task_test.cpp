// SPDX-License-Identifier: BSD-3-Clause
// Coroutines in a poller.
#include "pollux/runtime/task.hpp"

#include <gmock/gmock.h>
#include <sys/eventfd.h>

#include <stdexcept>

#include "fake_queue.hpp"
#include "pollux/runtime/awaitables.hpp"

namespace pollux::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

class TaskTest : public PollerFixture {
 protected:
  /// Receives bursts until one has no frames.
  Task<> receive(RxQueue& queue, std::vector<std::uint32_t>& sizes) {
    for (;;) {
      Burst<32> burst = co_await packets(queue);
      sizes.push_back(burst.size());
      burst.drop(handled_, cache_);
    }
  }
  /// Receives bursts of at most 8, and sleeps for 2 ms after each.
  Task<> receive_slowly(RxQueue& queue, std::vector<std::uint32_t>& sizes) {
    for (;;) {
      Burst<8> burst = co_await packets<8>(queue);
      sizes.push_back(burst.size());
      burst.drop(handled_, cache_);
      co_await sleep_for(milliseconds(2));
    }
  }
  template <class... T>
  void start(Task<>& task, T... name) {
    if (auto started = task.start(poller_, name...); !started) throw std::runtime_error(started.error().message());
  }

  FakeQueue queue_{cache_};
  Poller poller_{context_};
};

TEST_F(TaskTest, ReceivesBurstsWithinTheWeightOfItsQueue) {
  std::vector<std::uint32_t> sizes;
  Task<> task = receive(queue_, sizes);
  queue_.put(100);
  EXPECT_EQ(run(poller_), 0U) << "it has not been started";
  start(task);
  EXPECT_TRUE(sizes.empty());
  EXPECT_EQ(run(poller_), 64U);
  EXPECT_EQ(run(poller_), 36U);
  EXPECT_THAT(sizes, ElementsAre(32, 32, 32, 4));
  EXPECT_EQ(run(poller_), 0U);
  EXPECT_GT(clock_->now(), Time::zero()) << "nothing comes, so it sleeps";
  EXPECT_FALSE(poller_.find(queue_)->set_weight(0));
  EXPECT_FALSE(poller_.find(queue_)->set_weight(1025));
  ASSERT_TRUE(poller_.find(queue_)->set_weight(3));
  queue_.put(10);
  EXPECT_EQ(run(poller_), 3U);
  EXPECT_FALSE(task.is_done());
  EXPECT_FALSE(task.start(poller_));
}

TEST_F(TaskTest, DestroyingItDetachesItsQueue) {
  std::vector<std::uint32_t> sizes;
  {
    Task<> task = receive(queue_, sizes);
    start(task);
    queue_.put(1);
    run(poller_);
    run(poller_);
    EXPECT_TRUE(queue_.armed);
  }
  EXPECT_FALSE(queue_.armed);
  EXPECT_EQ(poller_.find(queue_), nullptr);
  queue_.put(1);
  run(poller_);
  EXPECT_THAT(sizes, ElementsAre(1));
  Task<> next = receive(queue_, sizes);
  start(next);
  run(poller_);
  EXPECT_THAT(sizes, ElementsAre(1, 1));
}

TEST_F(TaskTest, AnotherTaskMayDestroyItInTheSameRound) {
  std::vector<std::uint32_t> sizes;
  FakeQueue second(cache_);
  auto victim = std::make_unique<Task<>>(receive(second, sizes));
  const auto destroyer = [](RxQueue& queue, std::unique_ptr<Task<>>& which, DropCounter& drops) -> Task<> {
    Burst<32> burst = co_await packets(queue);
    burst.drop(drops);
    which.reset();
  };
  Task<> killer = destroyer(queue_, victim, handled_);
  start(killer);
  start(*victim);
  queue_.put(1);
  second.put(1);
  run(poller_);
  run(poller_);
  EXPECT_TRUE(sizes.empty());
  EXPECT_EQ(second.waiting, 1U);
  EXPECT_TRUE(killer.is_done());
}

TEST_F(TaskTest, SleepsUntilTheExactTime) {
  std::vector<Time> times;
  const auto sleeper = [](Poller& poller, std::vector<Time>& at) -> Task<> {
    co_await sleep_for(microseconds(1500));
    at.push_back(poller.clock().now());
    co_await sleep_until(milliseconds(5));
    at.push_back(poller.clock().now());
    co_await next_round();
    at.push_back(poller.clock().now());
  };
  Task<> task = sleeper(poller_, times);
  start(task);
  for (int i = 0; i < 20; ++i) run(poller_);
  EXPECT_THAT(times, ElementsAre(microseconds(1500), milliseconds(5), milliseconds(5)));
  EXPECT_TRUE(task.is_done());
  EXPECT_TRUE(task.outcome());
  Task<> cancelled = sleeper(poller_, times);
  start(cancelled);
  { const Task<> gone = std::move(cancelled); }
  for (int i = 0; i < 20; ++i) run(poller_);
  EXPECT_EQ(times.size(), 3U);
}

// While a task does something else, packets wait in the ring of the card.
TEST_F(TaskTest, PacketsWaitWhileItAwaitsSomethingElse) {
  std::vector<std::uint32_t> sizes;
  Task<> task = receive_slowly(queue_, sizes);
  start(task);
  queue_.put(20);
  run(poller_);
  EXPECT_THAT(sizes, ElementsAre(8));
  EXPECT_EQ(queue_.waiting, 12U);
  run(poller_);
  EXPECT_EQ(queue_.waiting, 12U);
  for (int i = 0; i < 10; ++i) run(poller_);
  EXPECT_THAT(sizes, ElementsAre(8, 8, 4));
}

TEST_F(TaskTest, AwaitingPacketsMayHaveALimit) {
  std::vector<std::uint32_t> sizes;
  const auto limited = [](RxQueue& queue, Poller& poller, std::vector<std::uint32_t>& seen,
                          DropCounter& drops) -> Task<> {
    for (int i = 0; i < 3; ++i) {
      Burst<32> burst = co_await packets(queue, poller.clock().now() + milliseconds(3));
      seen.push_back(burst.size());
      burst.drop(drops);
    }
  };
  Task<> task = limited(queue_, poller_, sizes, handled_);
  start(task);
  for (int i = 0; i < 5; ++i) run(poller_);
  EXPECT_THAT(sizes, ElementsAre(0));
  queue_.put(5);
  run(poller_);
  EXPECT_THAT(sizes, ElementsAre(0, 5));
  const Time before = clock_->now();
  while (!task.is_done()) run(poller_);
  EXPECT_EQ(clock_->now(), before + milliseconds(3));
  EXPECT_THAT(sizes, ElementsAre(0, 5, 0));
  EXPECT_EQ(poller_.find(queue_), nullptr) << "the queue leaves the poller when the task ends";
}

Task<std::uint32_t> next_size(RxQueue& queue, DropCounter& drops) {
  Burst<32> burst = co_await packets(queue);
  const std::uint32_t size = burst.size();
  burst.drop(drops);
  if (size == 13) throw std::runtime_error("unlucky");
  co_return size;
}

TEST_F(TaskTest, ATaskAwaitsAnotherOne) {
  std::vector<std::uint32_t> sizes;
  const auto outer = [](RxQueue& queue, std::vector<std::uint32_t>& seen, DropCounter& drops) -> Task<> {
    for (;;) {
      try {
        seen.push_back(co_await next_size(queue, drops));
      } catch (const std::runtime_error&) {
        seen.push_back(1313);
      }
    }
  };
  Task<> task = outer(queue_, sizes, handled_);
  start(task);
  for (const std::uint32_t count : {7U, 13U, 5U}) {
    queue_.put(count);
    run(poller_);
  }
  EXPECT_THAT(sizes, ElementsAre(7, 1313, 5));
  EXPECT_EQ(poller_.exceptions(), 0U);
}

TEST_F(TaskTest, AnExceptionThatLeavesItEndsItAndIsNamed) {
  const auto outer = [](RxQueue& queue, DropCounter& drops) -> Task<> { co_await next_size(queue, drops); };
  Task<> task = outer(queue_, handled_);
  start(task, "responder");
  queue_.put(13);
  run(poller_);
  EXPECT_TRUE(task.is_done());
  EXPECT_THROW(static_cast<void>(task.outcome()), std::runtime_error);
  EXPECT_EQ(poller_.exceptions(), 1U);
  EXPECT_THAT(log_, ElementsAre("poller: responder threw an exception: unlucky"));
  EXPECT_EQ(poller_.find(queue_), nullptr);
}

TEST_F(TaskTest, AnAwaitThatCannotBeDoneEndsIt) {
  std::vector<std::uint32_t> sizes;
  Task<> first = receive(queue_, sizes);
  Task<> second = receive(queue_, sizes);
  start(first, "the first");
  start(second, "the second");
  EXPECT_TRUE(second.is_done());
  ASSERT_FALSE(second.outcome());
  EXPECT_EQ(second.outcome().error().code, ErrorCode::busy);
  EXPECT_THAT(second.outcome().error().what, HasSubstr("as the first"));
  const auto wrong = []() -> Task<> { static_cast<void>(co_await ready(-1)); };
  Task<> third = wrong();
  start(third);
  EXPECT_EQ(third.outcome().error().code, ErrorCode::invalid_argument);
  queue_.put(1);
  run(poller_);
  EXPECT_THAT(sizes, ElementsAre(1));
}

TEST_F(TaskTest, PortsMixWithDescriptorsInOneWait) {
  const FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  std::vector<std::uint64_t> values;
  const auto reader = [](int descriptor, std::vector<std::uint64_t>& read) -> Task<> {
    for (;;) {
      EXPECT_EQ(co_await ready(descriptor), POLLIN);
      eventfd_t value = 0;
      ::eventfd_read(descriptor, &value);
      read.push_back(value);
    }
  };
  std::vector<std::uint32_t> sizes;
  Task<> receiver = receive(queue_, sizes);
  start(receiver);
  {
    Task<> task = reader(event.get(), values);
    start(task);
    run(poller_);
    ::eventfd_write(event.get(), 3);
    const Time before = clock_->now();
    run(poller_);
    EXPECT_EQ(clock_->now(), before) << "the descriptor ends the sleep";
    ::eventfd_write(event.get(), 4);
    queue_.put(2);
    for (std::uint32_t i = 0; i < Poller::kRoundsPerCheck; ++i) run(poller_);
    EXPECT_THAT(values, ElementsAre(3, 4));
    EXPECT_THAT(sizes, ElementsAre(2));
  }
  ::eventfd_write(event.get(), 5);
  run(poller_);
  EXPECT_EQ(values.size(), 2U);
}

TEST_F(TaskTest, ATaskThatLoopsLetsOthersHaveTheirTurns) {
  int rounds = 0;
  const auto busy = [](int& count) -> Task<> {
    for (;;) {
      ++count;
      co_await next_round();
    }
  };
  Task<> task = busy(rounds);
  start(task);
  std::vector<std::uint32_t> sizes;
  Task<> receiver = receive(queue_, sizes);
  start(receiver);
  for (int i = 0; i < 5; ++i) {
    queue_.put(1);
    run(poller_);
  }
  EXPECT_EQ(rounds, 6);
  EXPECT_EQ(sizes.size(), 5U);
  EXPECT_EQ(clock_->now(), Time::zero());
}

TEST_F(TaskTest, AQueueThatOthersEnableDoesNotDisturbATaskThatSleeps) {
  std::vector<std::uint32_t> sizes;
  Task<> task = receive_slowly(queue_, sizes);
  start(task);
  queue_.put(8);
  run(poller_);
  PolledQueue* const polled = poller_.find(queue_);
  polled->enable();
  queue_.put(3);
  run(poller_);
  EXPECT_EQ(polled->stats().poller_left, 3U);
  EXPECT_FALSE(polled->is_enabled());
  EXPECT_THAT(sizes, ElementsAre(8));
}

TEST_F(TaskTest, AQueueThatOthersDisableIsEnabledByTheNextAwait) {
  std::vector<std::uint32_t> sizes;
  const auto limited = [](RxQueue& queue, Poller& poller, std::vector<std::uint32_t>& seen,
                          DropCounter& drops) -> Task<> {
    for (;;) {
      Burst<32> burst = co_await packets(queue, poller.clock().now() + milliseconds(3));
      seen.push_back(burst.size());
      burst.drop(drops);
    }
  };
  Task<> task = limited(queue_, poller_, sizes, handled_);
  start(task);
  ASSERT_TRUE(poller_.find(queue_)->disable());
  queue_.put(5);
  for (int i = 0; i < 10; ++i) run(poller_);
  EXPECT_THAT(sizes, testing::Contains(5U));
}

TEST_F(TaskTest, ASleepWithoutAnEndNeverEnds) {
  bool is_awake = false;
  const auto sleeper = [](bool& awake) -> Task<> {
    co_await sleep_for(Duration::max());
    awake = true;
  };
  clock_->advance(milliseconds(1));
  Task<> task = sleeper(is_awake);
  start(task);
  for (int i = 0; i < 5; ++i) run(poller_);
  EXPECT_FALSE(is_awake);
}

}  // namespace
}  // namespace pollux::test
