// SPDX-License-Identifier: BSD-3-Clause
// The sleep that follows the poll of a wake-up.
#include <sys/eventfd.h>

#include <utility>

#include "base/file_descriptor.hpp"
#include "poller_sleep_fixture.hpp"

namespace pollux::test {
namespace {

using std::chrono::microseconds;

struct PollerRest : PollerSleep {};

TEST_F(PollerRest, FramesThatComeOneByOneNeedOnePollEach) {
  FakeQueue queue(cache_);
  std::uint64_t frames = 0;
  Poller poller(context_);
  must(poller.add(queue, counting(frames), {.mode = PollMode::interrupt}));
  run(poller);
  put_at(queue, clock_->now() + microseconds(300));
  wait_for_frame(poller);
  const std::size_t polls = queue.limits.size();
  for (int frame = 0; frame < 3; ++frame) {
    put_at(queue, clock_->now() + microseconds(300));
    EXPECT_EQ(wait_for_frame(poller), microseconds(300));
  }
  EXPECT_EQ(queue.limits.size(), polls + 3);
  EXPECT_EQ(frames, 4U);
}

TEST_F(PollerRest, AFrameThatComesAfterThePollOfAWakeUpIsPolledWithoutASleep) {
  FakeQueue queue(cache_);
  std::uint64_t frames = 0;
  Poller poller(context_);
  must(poller.add(queue, counting(frames), {.mode = PollMode::interrupt}));
  run(poller);
  put_at(queue, clock_->now() + microseconds(300));
  wait_for_frame(poller);
  queue.put(1);
  const Time before = clock_->now();
  EXPECT_EQ(run(poller), 1U);
  EXPECT_EQ(clock_->now(), before);
}

/// The program may wait for what the callback has done.
TEST_F(PollerRest, RunOnceReturnsAfterADescriptorHasEndedTheSleepThatFollowsAWakeUp) {
  FakeQueue queue(cache_);
  FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  std::uint64_t frames = 0;
  int calls = 0;
  Poller poller(context_);
  must(poller.add(queue, counting(frames), {.mode = PollMode::interrupt}));
  must(poller.add_descriptor(event.get(), [&](short) {
    eventfd_t ignored = 0;
    ::eventfd_read(event.get(), &ignored);
    ++calls;
  }));
  const auto raise_at = [&](Time at, bool with_frame) {
    clock_->follow([&, at, with_frame, done = false](Duration now) mutable {
      if (std::exchange(done, done || now >= at) || now < at) return;
      ::eventfd_write(event.get(), 1);
      // The frame is gone when the queue is polled, as one that another thread has taken.
      if (with_frame) {
        queue.put(1);
        queue.waiting = 0;
      }
    });
  };
  for (const bool with_frame : {false, true}) {
    run(poller);
    put_at(queue, clock_->now() + microseconds(300));
    wait_for_frame(poller);
    const Time start = clock_->now();
    raise_at(start + microseconds(100), with_frame);
    EXPECT_EQ(run(poller), 0U);
    EXPECT_EQ(clock_->now() - start, microseconds(100));
  }
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace pollux::test
