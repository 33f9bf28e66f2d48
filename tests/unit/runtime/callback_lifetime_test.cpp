// SPDX-License-Identifier: BSD-3-Clause
// What callbacks own uses the poller or the loop while it is destroyed.
#include <gmock/gmock.h>
#include <sys/eventfd.h>

#include "fake_queue.hpp"
#include "pollux/runtime/awaitables.hpp"
#include "pollux/runtime/run_loop.hpp"

namespace pollux::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Calls a function in its destructor.
struct AtEnd {
  explicit AtEnd(std::function<void()> work) : at_end(std::move(work)) {}
  AtEnd(const AtEnd&) = delete;
  AtEnd& operator=(const AtEnd&) = delete;
  ~AtEnd() { at_end(); }
  std::function<void()> at_end;
};

class CallbackLifetime : public PollerFixture {
 protected:
  /// What a callback may own: `work` runs when the callback is destroyed. Copies share it.
  static std::shared_ptr<AtEnd> owner(std::function<void()> work) { return std::make_shared<AtEnd>(std::move(work)); }

  FileDescriptor event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  FakeQueue queue_{cache_};
  int ends_ = 0;
};

TEST_F(CallbackLifetime, ATimerThatCancelsItselfAtItsEndIsDestroyedOnce) {
  Poller poller(context_);
  TimerId own{};
  auto session = owner([&] {
    ++ends_;
    EXPECT_FALSE(poller.cancel(own));
  });
  // Both are due in the same round, so the timer that is cancelled has left the wheel already.
  poller.add_timer(clock_->now(), [&] { EXPECT_TRUE(poller.cancel(own)); });
  own = poller.add_timer(clock_->now(), [session] { ADD_FAILURE() << "it was cancelled"; });
  session.reset();
  run(poller);
  EXPECT_EQ(ends_, 1);
  EXPECT_FALSE(poller.cancel(own));
}

TEST_F(CallbackLifetime, ATimersEndMayCancelAndAddOthersOfItsRound) {
  Poller poller(context_);
  TimerId second{};
  TimerId third{};
  int runs = 0;
  auto session = owner([&] {
    EXPECT_TRUE(poller.cancel(second));
    for (int i = 0; i < 100; ++i) poller.add_timer(clock_->now(), [&] { ++runs; });
  });
  poller.add_timer(clock_->now(), [&] { EXPECT_TRUE(poller.cancel(third)); });
  second = poller.add_timer(clock_->now(), [] { ADD_FAILURE() << "it was cancelled"; });
  third = poller.add_timer(clock_->now(), [session] {});
  session.reset();
  run(poller);
  EXPECT_EQ(runs, 0) << "they wait for the next round";
  run(poller);
  EXPECT_EQ(runs, 100);
}

TEST_F(CallbackLifetime, APollersEndLetsEachCallbackRemoveItselfAndTheOthers) {
  FakeQueue other(cache_);
  auto owned = std::make_unique<Poller>(context_);
  Poller* const poller = owned.get();
  TimerId timer{};
  PollerTask* task = nullptr;
  DescriptorId descriptor{};
  PolledQueue* queue = nullptr;
  PolledQueue* second = nullptr;
  const auto remove_all = [&] {
    ++ends_;
    poller->cancel(timer);
    poller->remove(*task);
    poller->remove(descriptor);
    EXPECT_TRUE(poller->remove(*queue));
    EXPECT_TRUE(poller->remove(*second));
  };
  timer = poller->add_timer(clock_->now() + seconds(1), [own = owner(remove_all)] {});
  task = &poller->add_task("task", [own = owner(remove_all)] { return false; });
  descriptor = must(poller->add_descriptor(event_.get(), [own = owner(remove_all)](short) {}));
  queue = must(poller->add(queue_, [own = owner(remove_all)](Burst<64>&) {}, {.mode = PollMode::interrupt}));
  second = must(poller->add(other, [own = owner(remove_all)](Burst<64>&) {}, {.mode = PollMode::interrupt}));
  run(*poller);
  run(*poller);
  ASSERT_TRUE(queue_.armed);
  owned.reset();
  EXPECT_EQ(ends_, 5);
  EXPECT_FALSE(queue_.armed);
  EXPECT_FALSE(other.armed);
}

TEST_F(CallbackLifetime, TheEndOfARemovedOneMayRemoveOthers) {
  Poller poller(context_);
  const auto count = [&] { ++ends_; };
  PollerTask* const other = &poller.add_task("other", [own = owner(count)] { return false; });
  const DescriptorId descriptor = must(poller.add_descriptor(event_.get(), [own = owner(count)](short) {}));
  PollerTask* task = nullptr;
  const auto remove = [&] {
    ++ends_;
    poller.remove(*other);
    poller.remove(*task);
    poller.remove(descriptor);
  };
  task = &poller.add_task("task", [own = owner(remove)] { return false; });
  poller.remove(*task);
  EXPECT_EQ(ends_, 3);
  run(poller);
}

TEST_F(CallbackLifetime, WhatIsAddedWhileAPollerEndsIsDestroyedToo) {
  auto owned = std::make_unique<Poller>(context_);
  Poller* const poller = owned.get();
  const auto count = [&] { ++ends_; };
  const auto add_all = [&] {
    poller->add_timer(clock_->now(), [own = owner(count)] { ADD_FAILURE() << "the poller ends"; });
    poller->add_task("late", [own = owner(count)] { return false; });
    must(poller->add_descriptor(event_.get(), [own = owner(count)](short) {}));
    must(poller->add(queue_, [own = owner(count)](Burst<64>&) {}));
  };
  poller->add_timer(clock_->now() + seconds(1), [own = owner(add_all)] {});
  owned.reset();
  EXPECT_EQ(ends_, 4);
}

TEST_F(CallbackLifetime, TheReportingCallbacksEndWhileThePollerIsWhole) {
  Poller* poller = nullptr;
  PollerTask* task = nullptr;
  const auto remove = [&] {
    ++ends_;
    poller->remove(*task);
  };
  auto owned = std::make_unique<Poller>(
      context_, PollerOptions{.on_exception = [own = owner(remove)](std::string_view, std::exception_ptr) {},
                              .on_stall = [own = owner(remove)](std::string_view, Duration) {}});
  poller = owned.get();
  task = &poller->add_task("task", [] { return false; });
  owned.reset();
  EXPECT_EQ(ends_, 2);
}

TEST_F(CallbackLifetime, AQueueMayBeRemovedTwice) {
  Poller poller(context_);
  PolledQueue* const polled = must(poller.add(queue_, [](Burst<64>&) {}));
  EXPECT_TRUE(poller.remove(*polled));
  EXPECT_TRUE(poller.remove(*polled)) << "it is no longer there";
  EXPECT_EQ(poller.find(queue_), nullptr);
}

// The task's own queue is destroyed before or after the handler that owns the task.
TEST_F(CallbackLifetime, AHandlerMayOwnATask) {
  const auto wait = [](RxQueue& queue, FileDescriptor& event) -> Task<> {
    for (;;) {
      Burst<8> burst = co_await packets<8>(queue, Time(seconds(100)));
      static_cast<void>(co_await ready(event.get()));
    }
  };
  for (const bool task_is_first : {false, true}) {
    FakeQueue first(cache_);
    FakeQueue second(cache_);
    auto poller = std::make_unique<Poller>(context_);
    auto task = std::make_shared<Task<>>(wait(first, event_));
    if (task_is_first) {
      ASSERT_TRUE(task->start(*poller));
    }
    must(poller->add(second, [task](Burst<64>&) {}));
    if (!task_is_first) {
      ASSERT_TRUE(task->start(*poller));
    }
    const std::weak_ptr<Task<>> observed = task;
    task.reset();
    run(*poller);
    poller.reset();
    EXPECT_TRUE(observed.expired());
  }
}

TEST_F(CallbackLifetime, ALoopsEndLetsItsWorkRemoveAndPost) {
  auto owned = std::make_unique<RunLoop>(context_);
  RunLoop* const loop = owned.get();
  TransmitWork* first = nullptr;
  TransmitWork* second = nullptr;
  const auto count = [&] { ++ends_; };
  const auto use_loop = [&] {
    ++ends_;
    loop->remove(*first);
    loop->remove(*second);
    loop->post([own = owner(count)] { ADD_FAILURE() << "the loop ends"; });
  };
  first = &loop->add_transmit("first", [own = owner(use_loop)] { return false; });
  second = &loop->add_transmit("second", [own = owner(use_loop)] { return false; });
  loop->post([own = owner(use_loop)] {});
  loop->poller().add_timer(clock_->now() + seconds(1), [own = owner(use_loop)] {});
  owned.reset();
  EXPECT_EQ(ends_, 8) << "four, and one that each of them posts";
}

TEST_F(CallbackLifetime, TransmitWorkMayBeRemovedTwice) {
  RunLoop loop(context_);
  TransmitWork& work = loop.add_transmit("work", [own = owner([&] { ++ends_; })] { return false; });
  loop.remove(work);
  EXPECT_EQ(ends_, 1);
  loop.remove(work);
  EXPECT_EQ(ends_, 1);
}

}  // namespace
}  // namespace pollux::test
