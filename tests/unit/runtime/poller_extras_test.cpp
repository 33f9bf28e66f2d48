// SPDX-License-Identifier: BSD-3-Clause
// Tasks, timers and descriptors of a poller.
#include <gmock/gmock.h>
#include <sys/eventfd.h>

#include <stdexcept>

#include "fake_queue.hpp"

namespace pollux::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

class PollerExtras : public PollerFixture {
 protected:
  PollerExtras() {
    must(poller_.add(queue_, counting(frames_), {.mode = PollMode::interrupt}));
    run(poller_);
  }
  FileDescriptor event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  FakeQueue queue_{cache_};
  std::uint64_t frames_ = 0;
  Poller poller_{context_};
};

TEST_F(PollerExtras, ATaskRunsWhileItHasMoreAndThenWaitsToBeScheduled) {
  int runs = 0;
  PollerTask& task = poller_.add_task("three", [&] { return ++runs % 3 != 0; });
  for (int i = 0; i < 3; ++i) run(poller_);
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(clock_->now(), Time::zero()) << "it does not sleep while a task is scheduled";
  run(poller_);
  run(poller_);
  EXPECT_EQ(runs, 3);
  EXPECT_GT(clock_->now(), Time::zero());
  EXPECT_TRUE(task.schedule());
  EXPECT_FALSE(task.schedule());
  run(poller_);
  EXPECT_EQ(runs, 4);
  poller_.remove(task);
  run(poller_);
  EXPECT_EQ(runs, 4);
}

TEST_F(PollerExtras, TasksTakeTurnsAndOneThatThrowsStopsNoOther) {
  std::string order;
  poller_.add_task("a", [&] { return order += 'a', order.size() < 6; });
  poller_.add_task("b", [&]() -> bool {
    order += 'b';
    throw std::runtime_error("broken");
  });
  PollerTask* itself = nullptr;
  itself = &poller_.add_task("c", [&] {
    order += 'c';
    poller_.remove(*itself);
    return true;
  });
  for (int i = 0; i < 8; ++i) run(poller_);
  EXPECT_EQ(order, "abcaaa");
  EXPECT_THAT(log_, ElementsAre(HasSubstr("b threw an exception: broken")));
}

TEST_F(PollerExtras, ATaskThatHandlersScheduleRunsInTheSameRound) {
  int runs = 0;
  PollerTask& task = poller_.add_task("work", [&] { return ++runs, false; });
  run(poller_);
  FakeQueue queue(cache_);
  must(poller_.add(queue, [&](Burst<64>& burst) {
    burst.drop(handled_);
    task.schedule();
  }));
  queue.put(1);
  EXPECT_EQ(run(poller_), 1U);
  EXPECT_EQ(runs, 2);
}

TEST_F(PollerExtras, ATimerEndsASleepAndRunsOnce) {
  std::vector<Time> ran;
  const auto note = [&] { ran.push_back(clock_->now()); };
  poller_.add_timer(milliseconds(5), note);
  poller_.add_timer(milliseconds(3), note);
  const TimerId cancelled = poller_.add_timer(milliseconds(4), note);
  EXPECT_TRUE(poller_.cancel(cancelled));
  EXPECT_FALSE(poller_.cancel(cancelled));
  for (int i = 0; i < 12; ++i) run(poller_);
  EXPECT_THAT(ran, ElementsAre(milliseconds(3), milliseconds(5)));
}

TEST_F(PollerExtras, ATimerThatAddsItselfDoesNotKeepTheRound) {
  int runs = 0;
  std::function<void()> again = [&] {
    ++runs;
    poller_.add_timer(Time::zero(), again);
    throw 1;
  };
  poller_.add_timer(Time::zero(), again);
  for (int i = 0; i < 3; ++i) run(poller_);
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(poller_.exceptions(), 3U);
}

TEST_F(PollerExtras, ADescriptorEndsASleepAndItsCallbackRunsAtOnce) {
  int calls = 0;
  const auto added = must(poller_.add_descriptor(event_.get(), [&](short ready) {
    EXPECT_EQ(ready, POLLIN);
    eventfd_t ignored = 0;
    ::eventfd_read(event_.get(), &ignored);
    ++calls;
  }));
  ::eventfd_write(event_.get(), 1);
  run(poller_);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(clock_->now(), Time::zero());
  EXPECT_TRUE(poller_.remove(added));
  EXPECT_FALSE(poller_.remove(added));
  ::eventfd_write(event_.get(), 1);
  run(poller_);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(poller_.add_descriptor(-1, [](short) {}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(poller_
                .add_descriptor(
                    event_.get(), [](short) {}, 0)
                .error()
                .code,
            ErrorCode::invalid_argument);
}

TEST_F(PollerExtras, ADescriptorIsCheckedWhileQueuesKeepThePollerAwake) {
  int calls = 0;
  must(poller_.add_descriptor(event_.get(), [&](short) {
    ++calls;
    throw std::runtime_error("unread");
  }));
  ::eventfd_write(event_.get(), 1);
  for (std::uint32_t i = 0; i < Poller::kRoundsPerCheck; ++i) {
    EXPECT_EQ(calls, 0);
    queue_.put(1);
    run(poller_);
  }
  EXPECT_EQ(calls, 1);
  FakeQueue busy(cache_);
  must(poller_.add(busy, counting(frames_), {.mode = PollMode::busy}));
  for (std::uint32_t i = 0; i < Poller::kRoundsPerCheck; ++i) run(poller_);
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(log_.size(), 1U);
}

TEST_F(PollerExtras, ACallbackMayRemoveADescriptorThatIsReady) {
  FileDescriptor other(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  int calls = 0;
  DescriptorId first{};
  DescriptorId second{};
  const auto remove_both = [&](short) {
    ++calls;
    EXPECT_TRUE(poller_.remove(first));
    EXPECT_TRUE(poller_.remove(second));
  };
  ::eventfd_write(event_.get(), 1);
  first = must(poller_.add_descriptor(event_.get(), remove_both));
  second = must(poller_.add_descriptor(other.get(), remove_both));
  run(poller_);
  EXPECT_EQ(calls, 1);
}

TEST_F(PollerExtras, WakingEndsASleep) {
  poller_.wake();
  run(poller_);
  EXPECT_EQ(clock_->now(), Time::zero());
  run(poller_);
  EXPECT_GT(clock_->now(), Time::zero());
}

TEST_F(PollerExtras, WhatADestroyedCallbackOwnsMayRemoveOthers) {
  struct Owner {
    std::function<void()> at_end;
    ~Owner() { at_end(); }
  };
  const DescriptorId descriptor = must(poller_.add_descriptor(
      event_.get(), [](short) {}, POLLIN));
  PollerTask& second = poller_.add_task("second", [] { return false; });
  auto owner = std::make_shared<Owner>([&] {
    poller_.remove(second);
    EXPECT_TRUE(poller_.remove(descriptor));
    EXPECT_TRUE(poller_.remove(*poller_.find(queue_)));
  });
  PollerTask& first = poller_.add_task("first", [owner] { return owner == nullptr; });
  owner.reset();
  poller_.remove(first);
  EXPECT_EQ(poller_.find(queue_), nullptr);
  run(poller_);
}

}  // namespace
}  // namespace pollux::test
