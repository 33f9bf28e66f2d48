// SPDX-License-Identifier: BSD-3-Clause
// How a task is resumed: on which stack, by whom, and what it may destroy meanwhile.
#include <gmock/gmock.h>

#include <algorithm>
#include <coroutine>
#include <cstdint>
#include <stdexcept>

#include "fake_queue.hpp"
#include "pollux/runtime/awaitables.hpp"

namespace pollux::test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class TaskResumption : public PollerFixture {
 protected:
  /// Receives bursts, and sleeps for a while after each.
  static Task<> receive(RxQueue& queue, Duration pause, DropCounter& drops) {
    for (;;) {
      Burst<32> burst = co_await packets(queue);
      burst.drop(drops);
      if (pause != Duration::zero()) co_await sleep_for(pause);
    }
  }

  FakeQueue queue_{cache_};
  Poller poller_{context_};
};

/// Where the stack is when this function runs.
[[gnu::noinline]] std::uintptr_t stack_position() {
  return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
}

/// Awaits tasks that do not wait, and notes the stack's position in each.
template <class Child>
std::uintptr_t stack_growth(Poller& poller, Child child) {
  std::uintptr_t lowest = UINTPTR_MAX;
  std::uintptr_t highest = 0;
  const auto parent = [](const Child& made, std::uintptr_t& low, std::uintptr_t& high) -> Task<> {
    for (int i = 0; i < 1000; ++i) {
      const std::uintptr_t position = co_await made();
      low = std::min(low, position);
      high = std::max(high, position);
    }
  };
  Task<> task = parent(child, lowest, highest);
  EXPECT_TRUE(task.start(poller));
  EXPECT_TRUE(task.is_done());
  return highest - lowest;
}

// Compilers make a jump of symmetric transfer only with optimisation: without a loop each await would cost stack.
TEST_F(TaskResumption, TheStackDoesNotGrowWithTheNumberOfAwaits) {
  const auto child = []() -> Task<std::uintptr_t> { co_return stack_position(); };
  EXPECT_LT(stack_growth(poller_, child), 1024U);
  const auto nested = [&child]() -> Task<std::uintptr_t> { co_return co_await child(); };
  EXPECT_LT(stack_growth(poller_, nested), 1024U);
  const auto throwing = [&child]() -> Task<std::uintptr_t> {
    const auto fails = []() -> Task<> {
      throw std::runtime_error("failed");
      co_return;
    };
    try {
      co_await fails();
    } catch (const std::runtime_error&) {
    }
    co_return co_await child();
  };
  EXPECT_LT(stack_growth(poller_, throwing), 1024U);
}

// An awaitable of a program may resume the coroutine by its handle.
TEST_F(TaskResumption, AnAwaitableOfOthersMayResumeIt) {
  struct Waiting {
    std::coroutine_handle<>& handle;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> task) const noexcept { handle = task; }
    void await_resume() const noexcept {}
  };
  std::coroutine_handle<> handle;
  int steps = 0;
  const auto child = [](std::coroutine_handle<>& to) -> Task<int> {
    co_await Waiting{to};
    co_return 1;
  };
  const auto parent = [&child](std::coroutine_handle<>& to, int& count) -> Task<> {
    for (int i = 0; i < 3; ++i) count += co_await child(to);
  };
  Task<> task = parent(handle, steps);
  ASSERT_TRUE(task.start(poller_));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(steps, i);
    handle.resume();
  }
  EXPECT_EQ(steps, 3);
  EXPECT_TRUE(task.is_done());
}

TEST_F(TaskResumption, ACoroutineMayDestroyItsOwnTask) {
  bool is_gone = false;
  struct Flagging {
    bool& flag;
    ~Flagging() { flag = true; }
  };
  std::unique_ptr<Task<>> task;
  const auto child = [](std::unique_ptr<Task<>>& own) -> Task<> {
    own.reset();
    co_return;
  };
  const auto loop = [&child](RxQueue& queue, std::unique_ptr<Task<>>& own, bool& gone, DropCounter& drops) -> Task<> {
    const Flagging at_end{gone};
    Burst<32> burst = co_await packets(queue);
    burst.drop(drops);
    co_await child(own);
    EXPECT_FALSE(gone) << "it runs until it awaits something";
    static_cast<void>(co_await packets(queue));
    ADD_FAILURE() << "its Task was destroyed";
  };
  task = std::make_unique<Task<>>(loop(queue_, task, is_gone, handled_));
  ASSERT_TRUE(task->start(poller_));
  queue_.put(3);
  run(poller_);
  EXPECT_EQ(task, nullptr);
  EXPECT_TRUE(is_gone);
  EXPECT_EQ(poller_.find(queue_), nullptr);
  queue_.put(1);
  run(poller_);
}

TEST_F(TaskResumption, ACoroutineMayDestroyItsTaskBeforeItWaitsForTheFirstTime) {
  std::unique_ptr<Task<>> task;
  const auto ends = [](std::unique_ptr<Task<>>& own) -> Task<> {
    own.reset();
    co_await next_round();
    ADD_FAILURE() << "its Task was destroyed";
  };
  task = std::make_unique<Task<>>(ends(task));
  EXPECT_TRUE(task->start(poller_));
  EXPECT_EQ(task, nullptr);
  for (int i = 0; i < 3; ++i) run(poller_);
}

TEST_F(TaskResumption, AQueueThatOthersRemoveEndsTheTaskThatAwaitsIt) {
  Task<> task = receive(queue_, Duration::zero(), handled_);
  ASSERT_TRUE(task.start(poller_));
  ASSERT_TRUE(poller_.remove(*poller_.find(queue_)));
  EXPECT_TRUE(task.is_done());
  EXPECT_EQ(task.outcome().error().code, ErrorCode::bad_state);
  EXPECT_THAT(task.outcome().error().what, HasSubstr("removed from the poller"));
}

TEST_F(TaskResumption, AQueueThatOthersRemoveEndsTheTaskAtItsNextAwait) {
  Task<> sleeping = receive(queue_, milliseconds(2), handled_);
  ASSERT_TRUE(sleeping.start(poller_));
  queue_.put(1);
  run(poller_);
  ASSERT_TRUE(poller_.remove(*poller_.find(queue_)));
  EXPECT_FALSE(sleeping.is_done());
  for (int i = 0; i < 5; ++i) run(poller_);
  EXPECT_TRUE(sleeping.is_done());
  EXPECT_EQ(sleeping.outcome().error().code, ErrorCode::bad_state);
  // In the same round: its handler is still there.
  const auto removing = [](RxQueue& queue, Poller& poller, DropCounter& drops) -> Task<> {
    for (;;) {
      Burst<32> burst = co_await packets(queue);
      burst.drop(drops);
      static_cast<void>(poller.remove(*poller.find(queue)));
    }
  };
  Task<> task = removing(queue_, poller_, handled_);
  ASSERT_TRUE(task.start(poller_));
  queue_.put(1);
  run(poller_);
  EXPECT_TRUE(task.is_done());
  EXPECT_EQ(task.outcome().error().code, ErrorCode::bad_state);
}

}  // namespace
}  // namespace pollux::test
