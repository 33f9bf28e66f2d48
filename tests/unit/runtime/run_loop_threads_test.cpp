// SPDX-License-Identifier: BSD-3-Clause
// Run loops on threads, with queues, timers and tasks that come and go while they run.
#include "pollux/runtime/run_loop_threads.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "fake_queue.hpp"

namespace pollux::test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class RunLoopsOnThreads : public testing::Test {
 protected:
  template <class T>
  static T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message());
    return *std::move(result);
  }
  static void must(const Result<void>& result) {
    if (!result) throw std::runtime_error(result.error().message());
  }
  Context context_{{.log = [](LogLevel, std::string_view) {}, .huge_pages = HugePages::never}};
};

TEST_F(RunLoopsOnThreads, EachHasItsThreadItsNameAndNoSignals) {
  auto loops = must(RunLoopThreads::create(context_, {{.loop = {.name = "a rather long name"}}, {}}));
  must(loops->start());
  EXPECT_EQ(loops->start().error().code, ErrorCode::bad_state);
  std::set<std::thread::id> threads;
  std::array<char, 16> name{};
  for (std::size_t i = 0; i < loops->size(); ++i) {
    must(loops->loop(i).invoke([&] {
      threads.insert(std::this_thread::get_id());
      if (i == 0) ::pthread_getname_np(::pthread_self(), name.data(), name.size());
      sigset_t blocked;
      ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
      EXPECT_EQ(sigismember(&blocked, SIGINT), 1);
    }));
  }
  EXPECT_EQ(threads.size(), 2U);
  EXPECT_EQ(threads.count(std::this_thread::get_id()), 0U);
  EXPECT_STREQ(name.data(), "a rather long n");
  EXPECT_EQ(loops->loop(1).name(), "run loop 1");
  must(loops->stop());
  must(loops->stop());
  must(loops->start());
  must(loops->loop(1).invoke([] {}));
  sigset_t blocked;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  EXPECT_EQ(sigismember(&blocked, SIGINT), 0);
}

TEST_F(RunLoopsOnThreads, AThreadIsPinnedOnlyIfAsked) {
  cpu_set_t mine;
  ASSERT_EQ(::sched_getaffinity(0, sizeof mine, &mine), 0);
  unsigned core = 0;
  while (!CPU_ISSET(core, &mine)) ++core;
  auto loops = must(RunLoopThreads::create(context_, {{.core = core}, {}}));
  must(loops->start());
  const auto cores = [&](std::size_t loop) {
    cpu_set_t set;
    must(loops->loop(loop).invoke([&] { ::sched_getaffinity(0, sizeof set, &set); }));
    EXPECT_TRUE(CPU_ISSET(core, &set));
    return CPU_COUNT(&set);
  };
  EXPECT_EQ(cores(0), 1);
  EXPECT_EQ(cores(1), CPU_COUNT(&mine));
}

TEST_F(RunLoopsOnThreads, ACoreThatCannotBeUsedIsRejected) {
  const auto none = RunLoopThreads::create(context_, {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::invalid_argument);
  const auto missing = RunLoopThreads::create(context_, {{.core = 5000}});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().what, "run loops: the process may not use core 5000");
  EXPECT_THAT(missing.error().hint, HasSubstr("use some of "));
  cpu_set_t mine;
  ASSERT_EQ(::sched_getaffinity(0, sizeof mine, &mine), 0);
  unsigned core = 0;
  while (!CPU_ISSET(core, &mine)) ++core;
  const auto twice = RunLoopThreads::create(context_, {{.core = core}, {.core = core}});
  ASSERT_FALSE(twice);
  EXPECT_THAT(twice.error().what, HasSubstr("two loops"));
}

TEST_F(RunLoopsOnThreads, WhatDoesNotEndIsNamed) {
  auto loops = must(RunLoopThreads::create(context_, {{.loop = {.name = "worker"}}, {}}));
  std::mutex lock;
  std::condition_variable changed;
  bool let_go = false;
  std::atomic<bool> entered{false};
  loops->loop(0).poller().add_task("endless", [&] {
    entered = true;
    std::unique_lock guard(lock);
    changed.wait(guard, [&] { return let_go; });
    return false;
  });
  must(loops->start());
  while (!entered) std::this_thread::yield();
  EXPECT_EQ(loops->loop(0).poller().running(), "endless");
  EXPECT_EQ(loops->loop(0).invoke([] {}, milliseconds(5)).error().what, "worker: endless has not returned");
  must(loops->loop(1).invoke([] {}));  // it goes on
  const auto stopped = loops->stop(milliseconds(20));
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().what, "worker: it has not ended: endless has not returned");
  {
    const std::lock_guard guard(lock);
    let_go = true;
  }
  changed.notify_all();
  must(loops->stop());
}

TEST_F(RunLoopsOnThreads, AnExceptionOfInvokedWorkReachesTheCaller) {
  auto loops = must(RunLoopThreads::create(context_, {{}}));
  must(loops->start());
  EXPECT_THROW(must(loops->loop(0).invoke([] { throw std::out_of_range("far"); })), std::out_of_range);
  must(loops->failure());
}

TEST_F(RunLoopsOnThreads, QueuesTimersAndTasksComeAndGoWhileTheyRun) {
  Mempool pool = must(Mempool::create(context_, {.count = 512, .data_room = 64, .headroom = 0}));
  MempoolCache cache(pool);
  auto loops = must(RunLoopThreads::create(context_, {{}, {}}));
  must(loops->start());
  RunLoop& loop = loops->loop(0);
  DropCounter handled("handled");
  std::uint64_t frames = 0;
  std::uint64_t timers = 0;
  std::uint64_t tasks = 0;
  std::uint64_t transmitted = 0;
  FakeQueue queue(cache);
  for (int i = 1; i <= 200; ++i) {
    PolledQueue* polled = nullptr;
    PollerTask* task = nullptr;
    TransmitWork* transmit = nullptr;
    must(loop.invoke([&] {
      queue.waiting += 10;
      polled = must(loop.poller().add(queue, [&](Burst<32>& burst) {
        frames += burst.size();
        burst.drop(handled, cache);
      }));
      task = &loop.poller().add_task("task", [&] { return ++tasks, false; });
      transmit = &loop.add_transmit("transmit", [&] { return ++transmitted, false; });
      loop.poller().add_timer(Time::zero(), [&] { ++timers; });
    }));
    std::uint64_t seen = 0;
    while (seen != static_cast<std::uint64_t>(i)) {
      task->schedule();
      transmit->schedule();
      must(loop.invoke([&] { seen = std::min(frames / 10, timers); }));
    }
    must(loop.invoke([&] {
      must(loop.poller().remove(*polled));
      loop.poller().remove(*task);
      loop.remove(*transmit);
    }));
  }
  must(loops->stop());
  EXPECT_EQ(frames, 2000U);
  EXPECT_EQ(timers, 200U);
  EXPECT_GE(tasks, 200U);
  EXPECT_GE(transmitted, 200U);
}

TEST_F(RunLoopsOnThreads, CannotBeStartedWhileOneStillRuns) {
  auto loops = must(RunLoopThreads::create(context_, {{}, {.loop = {.name = "second"}}}));
  std::atomic<bool> let_go{false};
  std::atomic<bool> entered{false};
  loops->loop(1).poller().add_task("endless", [&] {
    entered = true;
    while (!let_go) std::this_thread::yield();
    return false;
  });
  must(loops->start());
  while (!entered) std::this_thread::yield();
  EXPECT_FALSE(loops->stop(milliseconds(20)));
  EXPECT_EQ(loops->start().error().code, ErrorCode::bad_state);
  let_go = true;
  must(loops->stop(Duration::max()));
}

TEST_F(RunLoopsOnThreads, RunAgainAfterOneHasFailed) {
  auto loops = must(RunLoopThreads::create(context_, {{}}));
  const FileDescriptor open(::eventfd(0, EFD_CLOEXEC));
  FileDescriptor closed(::fcntl(open.get(), F_DUPFD_CLOEXEC, 500));  // a number that nobody uses again
  const DescriptorId id = must(loops->loop(0).poller().add_descriptor(
      closed.get(), [](short) {}, POLLIN));
  closed = FileDescriptor();
  must(loops->start());
  while (loops->failure()) std::this_thread::yield();
  ASSERT_FALSE(loops->stop());
  ASSERT_TRUE(loops->loop(0).poller().remove(id));
  must(loops->start());
  must(loops->loop(0).invoke([] {}));
  std::this_thread::sleep_for(milliseconds(5));
  must(loops->loop(0).invoke([] {}, Duration::max()));
}

}  // namespace
}  // namespace pollux::test
