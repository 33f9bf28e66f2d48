// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "mem/context_state.hpp"
#include "mem/control_scheduler.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/mem/context.hpp"

namespace pollux {
namespace {

using namespace std::chrono_literals;

/// How long a thread may take for work that it does at once.
constexpr auto kThreadLimit = 60s;

class Work final : public ControlTask {
 public:
  explicit Work(std::function<Result<Time>()> work) : work_(std::move(work)) {}
  [[nodiscard]] Result<Time> run() override { return work_(); }

 private:
  std::function<Result<Time>()> work_;
};

std::size_t threads() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task")) ++count;
  return count;
}

struct Log {
  std::mutex mutex;
  std::vector<std::pair<LogLevel, std::string>> lines;
};

ContextOptions with_thread(Log* log = nullptr) {
  ContextOptions options;
  options.huge_pages = HugePages::never;
  options.control_thread = true;
  if (log != nullptr) {
    options.log = [log](LogLevel level, std::string_view line) {
      const std::lock_guard lock(log->mutex);
      log->lines.emplace_back(level, std::string(line));
    };
  }
  return options;
}

TEST(ControlThread, RunsOnlyOnRequestAndEndsWithTheContext) {
  const std::size_t before = threads();
  {
    ContextOptions options;
    options.huge_pages = HugePages::never;
    Context context(options);
    static_cast<void>(context.control().event_fd());
    EXPECT_EQ(threads(), before);
  }
  {
    Context context(with_thread());
    EXPECT_EQ(threads(), before + 1);
  }
  // The kernel lists a thread for a moment after it was joined.
  SteadyClock clock;
  EXPECT_TRUE(
      wait_until(clock, "the end of the thread", std::chrono::seconds(10), [&] { return threads() == before; }));
}

TEST(ControlThread, RunsDueTasksAndBlocksSignals) {
  Context context(with_thread());
  std::promise<std::pair<std::thread::id, sigset_t>> ran;
  std::atomic<int> runs{0};
  const auto task = std::make_shared<Work>([&]() -> Result<Time> {
    if (++runs == 1) return context.clock().now() + 1ms;
    if (runs == 2) {
      sigset_t blocked;
      pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
      ran.set_value({std::this_thread::get_id(), blocked});
    }
    return context.clock().now() + 1h;
  });
  static_cast<void>(context.state()->scheduler().add(task, context.clock().now(), {}));
  auto result = ran.get_future();
  ASSERT_EQ(result.wait_for(kThreadLimit), std::future_status::ready);
  const auto [thread, blocked] = result.get();
  EXPECT_NE(thread, std::this_thread::get_id());
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGCHLD, SIGALRM})
    EXPECT_EQ(sigismember(&blocked, signal), 1);
  sigset_t here;
  pthread_sigmask(SIG_BLOCK, nullptr, &here);
  EXPECT_EQ(sigismember(&here, SIGTERM), 0) << "the program's threads do not block signals";
}

TEST(ControlThread, LogsAFailureAndKeepsItForTheProgram) {
  Log log;
  Context context(with_thread(&log));
  std::atomic<bool> well{false};
  const auto failing = std::make_shared<Work>(
      []() -> Result<Time> { return fail(ErrorCode::device_removed, "sim:0: gone", "open it again"); });
  const auto other = std::make_shared<Work>([&]() -> Result<Time> {
    well = true;
    return context.clock().now() + 1h;
  });
  static_cast<void>(context.state()->scheduler().add(failing, context.clock().now(), {}));
  static_cast<void>(context.state()->scheduler().add(other, context.clock().now(), {}));
  ASSERT_TRUE(wait_until(context.clock(), "the other task's run", kThreadLimit, [&] { return well.load(); }));
  // The failure is stored before it is logged.
  ASSERT_TRUE(wait_until(context.clock(), "the log", kThreadLimit, [&] {
    const std::lock_guard lock(log.mutex);
    return !log.lines.empty();
  }));
  EXPECT_EQ(log.lines.front().first, LogLevel::error);
  EXPECT_EQ(log.lines.front().second, "sim:0: gone: open it again");
  const auto told = context.control().run_due();
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().code, ErrorCode::device_removed);
  EXPECT_TRUE(context.control().run_due()) << "each failure is returned once";
}

TEST(ControlThread, LogsAnExceptionOfAHandlerAndGoesOn) {
  Log log;
  Context context(with_thread(&log));
  std::promise<void> again;
  int runs = 0;
  const auto work = std::make_shared<Work>([&]() -> Result<Time> {
    if (++runs == 1) throw std::runtime_error("broken");
    again.set_value();
    return Time::max();
  });
  static_cast<void>(context.state()->scheduler().add(work, context.clock().now(), {}));
  ASSERT_EQ(again.get_future().wait_for(kThreadLimit), std::future_status::ready);
  const std::lock_guard lock(log.mutex);
  ASSERT_EQ(log.lines.size(), 1U);
  EXPECT_EQ(log.lines[0].second, "a handler threw on the control thread: broken: catch it in the handler");
}

TEST(ControlThread, IsRejectedWithVirtualTime) {
  Log log;
  ContextOptions options = with_thread(&log);
  options.clock = std::make_shared<ManualClock>();
  const std::size_t before = threads();
  Context context(options);
  EXPECT_EQ(threads(), before);
  ASSERT_EQ(log.lines.size(), 1u);
  EXPECT_EQ(log.lines.front().first, LogLevel::warning);
}

TEST(ControlThread, SurvivesTheDestructionOfTheContextInAForkedChild) {
  auto context = std::make_unique<Context>(with_thread());
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::alarm(30);  // ends a child that waits forever for a thread it does not have
    context.reset();
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  std::promise<void> ran;
  const auto task = std::make_shared<Work>([&]() -> Result<Time> {
    ran.set_value();
    return Time::max();
  });
  static_cast<void>(context->state()->scheduler().add(task, context->clock().now(), {}));
  EXPECT_EQ(ran.get_future().wait_for(kThreadLimit), std::future_status::ready)
      << "the child stopped the parent's thread";
}

TEST(ControlThread, MayRunBesideTheProgramsOwnLoop) {
  std::atomic<int> inside{0};
  std::atomic<int> runs{0};
  std::atomic<bool> overlapped{false};
  Context context(with_thread());  // its thread ends before what it counts in is gone
  const auto task = std::make_shared<Work>([&]() -> Result<Time> {
    if (inside.fetch_add(1) != 0) overlapped = true;
    ++runs;
    inside.fetch_sub(1);
    return context.clock().now();
  });
  const auto id = context.state()->scheduler().add(task, context.clock().now(), {});
  for (int i = 0; i < 2000; ++i) {
    ASSERT_TRUE(context.control().run_due());
    if (i % 100 == 0) context.state()->scheduler().reschedule(id, context.clock().now());
  }
  EXPECT_GT(runs, 0);
  EXPECT_FALSE(overlapped) << "a task runs on one thread at a time";
}

}  // namespace
}  // namespace pollux
