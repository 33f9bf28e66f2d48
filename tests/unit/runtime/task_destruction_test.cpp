// SPDX-License-Identifier: BSD-3-Clause
// What owns a task's coroutine, and in which order coroutines that await each other are destroyed.
#include <gmock/gmock.h>

#include <coroutine>
#include <memory>
#include <string>
#include <utility>

#include "fake_queue.hpp"
#include "pollux/runtime/awaitables.hpp"

namespace pollux::test {
namespace {

using testing::HasSubstr;

class TaskDestruction : public PollerFixture {
 protected:
  Poller poller_{context_};
};

/// Writes its letter when it is destroyed.
struct Signing {
  std::string& text;
  char letter;
  Signing(std::string& to, char which) : text(to), letter(which) {}
  Signing(const Signing&) = delete;
  Signing& operator=(const Signing&) = delete;
  ~Signing() { text += letter; }
};

Task<> waits(std::string& text, char letter) {
  const Signing at_end(text, letter);
  co_await sleep_until(Time::max());
}

/// `depth` more tasks await each other, and the last one waits.
Task<> nested(std::string& text, int depth) {
  const Signing at_end(text, static_cast<char>('a' + depth % 26));
  if (depth == 0) co_await sleep_until(Time::max());
  if (depth != 0) co_await nested(text, depth - 1);
}

TEST_F(TaskDestruction, TheInnermostCoroutineIsDestroyedFirst) {
  std::string text;
  {
    Task<> task = nested(text, 3);
    ASSERT_TRUE(task.start(poller_));
  }
  EXPECT_EQ(text, "abcd");
}

TEST_F(TaskDestruction, TheStackDoesNotGrowWithTheNumberOfTasksThatAwaitEachOther) {
  std::string text;
  {
    Task<> task = nested(text, 100'000);
    ASSERT_TRUE(task.start(poller_));
    EXPECT_EQ(text, "");
  }
  EXPECT_EQ(text.size(), 100'001U);
}

TEST_F(TaskDestruction, ATaskThatEndedIsNoPartOfTheChain) {
  std::string text;
  const auto second = [](std::string& to) -> Task<> {
    co_await []() -> Task<> { co_return; }();
    co_await waits(to, 'w');
  };
  {
    Task<> task = second(text);
    ASSERT_TRUE(task.start(poller_));
  }
  EXPECT_EQ(text, "w");
}

/// An awaitable of a program that awaits a task which others own.
using TaskAwaiter = decltype(std::declval<Task<>>().operator co_await());
struct Awaiting {
  TaskAwaiter* inner;
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> task) const {
    inner->await_suspend(task);
  }
  void await_resume() const noexcept {}
};

TEST_F(TaskDestruction, AnAwaitedTaskMayBeDestroyedBeforeTheOneThatAwaitsIt) {
  std::string text;
  const auto outer = [](TaskAwaiter& inner, std::string& to) -> Task<> {
    const Signing at_end(to, 'o');
    co_await Awaiting{&inner};
  };
  {
    std::unique_ptr<TaskAwaiter> inner(new TaskAwaiter{waits(text, 'i')});
    Task<> task = outer(*inner, text);
    ASSERT_TRUE(task.start(poller_));
    inner.reset();
    EXPECT_EQ(text, "i");
  }
  EXPECT_EQ(text, "io");
}

TEST_F(TaskDestruction, AnAssignmentToItselfChangesNothing) {
  std::string text;
  Task<> task = waits(text, 'w');
  Task<>& same = task;
  task = std::move(same);
  EXPECT_TRUE(task.start(poller_));
  task = std::move(same);
  EXPECT_EQ(text, "");
  task = waits(text, 'x');
  EXPECT_EQ(text, "w") << "the task that it was is destroyed at once";
}

TEST_F(TaskDestruction, AnEmptyTaskSaysSo) {
  std::string text;
  Task<> task = waits(text, 'w');
  const Task<> other = std::move(task);
  const auto started = task.start(poller_, "first");  // NOLINT(bugprone-use-after-move): what this is about
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::bad_state);
  EXPECT_THAT(started.error().what, HasSubstr("first: it is empty"));
  EXPECT_FALSE(task.is_done());
}

TEST_F(TaskDestruction, AwaitingATaskThatIsEmptyOrStartedFails) {
  const auto twice = [](Task<> inner) -> Task<> {
    co_await std::move(inner);
    co_await std::move(inner);  // NOLINT(bugprone-use-after-move): what this is about
    ADD_FAILURE() << "the first await has made it empty";
  };
  Task<> task = twice([]() -> Task<> { co_return; }());
  ASSERT_TRUE(task.start(poller_));
  EXPECT_TRUE(task.is_done());
  ASSERT_FALSE(task.outcome());
  EXPECT_EQ(task.outcome().error().code, ErrorCode::bad_state);
  EXPECT_THAT(task.outcome().error().what, HasSubstr("a Task that is empty or was started"));

  std::string text;
  Task<> running = waits(text, 'w');
  ASSERT_TRUE(running.start(poller_));
  const auto once = [](Task<>& inner) -> Task<> { co_await std::move(inner); };
  Task<> awaits = once(running);
  ASSERT_TRUE(awaits.start(poller_));
  EXPECT_FALSE(awaits.outcome());
}

}  // namespace
}  // namespace pollux::test
