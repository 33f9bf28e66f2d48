// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/mem/context.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>

#include "base/file_descriptor.hpp"
#include "context_fixture.hpp"
#include "machine.hpp"
#include "mem/control_scheduler.hpp"

namespace pollux {
namespace {

using namespace std::chrono_literals;
using test::ContextFixture;

/// Counts its runs; each does what the test chooses.
class Task final : public ControlTask {
 public:
  explicit Task(std::function<Result<Time>()> next) : next_(std::move(next)) {}
  [[nodiscard]] Result<Time> run() override {
    ++runs;
    return next_();
  }
  [[nodiscard]] std::optional<Time> assist() override {
    ++assists;
    return assisted;
  }
  int runs = 0;
  int assists = 0;
  std::optional<Time> assisted;  ///< what `assist` returns

 private:
  std::function<Result<Time>()> next_;
};

bool is_readable(int descriptor, int milliseconds = 0) {
  pollfd look{.fd = descriptor, .events = POLLIN, .revents = 0};
  return ::poll(&look, 1, milliseconds) == 1;
}

class ControlTest : public testing::Test {
 protected:
  [[nodiscard]] std::shared_ptr<Task> every(Duration interval) {
    return std::make_shared<Task>([this, interval]() -> Result<Time> { return clock_->now() + interval; });
  }
  static std::shared_ptr<Task> failing(const char* what) {
    return std::make_shared<Task>([what]() -> Result<Time> { return fail(ErrorCode::device_removed, what); });
  }
  [[nodiscard]] static ContextOptions on(std::shared_ptr<Clock> clock) {
    ContextOptions options = ContextFixture::ordinary();
    options.clock = std::move(clock);
    return options;
  }
  /// The result of run_due; the test fails if that was an error.
  [[nodiscard]] Time run_due() {
    const auto next = control_.run_due();
    EXPECT_TRUE(next) << next.error().message();
    return next.value_or(Time::min());
  }

  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  ContextFixture fixture_{on(clock_)};
  Control& control_ = fixture_.state->control();
  ControlScheduler& scheduler_ = fixture_.state->scheduler();
};

TEST_F(ControlTest, HasNothingDueWithoutTasks) {
  EXPECT_EQ(run_due(), Time::max());
  EXPECT_FALSE(is_readable(control_.event_fd()));
}

TEST_F(ControlTest, RunsEachTaskWhenDueAndReturnsTheNextTime) {
  const auto often = every(2ms);
  const auto seldom = every(5ms);
  static_cast<void>(scheduler_.add(often, 1ms, {}));
  static_cast<void>(scheduler_.add(seldom, 4ms, {}));
  EXPECT_EQ(run_due(), 1ms);
  EXPECT_EQ(often->runs, 0);
  clock_->advance(1ms);
  EXPECT_EQ(run_due(), 3ms);
  EXPECT_EQ(often->runs, 1);
  EXPECT_EQ(run_due(), 3ms) << "nothing is due yet";
  clock_->advance(3ms);
  EXPECT_EQ(run_due(), 6ms);
  EXPECT_EQ(often->runs, 2) << "a late task runs once, not twice";
  EXPECT_EQ(seldom->runs, 1);
}

TEST_F(ControlTest, RunsATaskAtMostOnceInACall) {
  const auto greedy = every(0ns);
  static_cast<void>(scheduler_.add(greedy, 0ms, {}));
  EXPECT_EQ(run_due(), 1ns);
  EXPECT_EQ(greedy->runs, 1);
}

TEST_F(ControlTest, ReturnsEachFailureOnceAndRunsTheOtherTasks) {
  const auto first = failing("a");
  const auto second = failing("b");
  const auto well = every(1s);
  static_cast<void>(scheduler_.add(first, 1ms, {}));
  static_cast<void>(scheduler_.add(second, 1ms, {}));
  static_cast<void>(scheduler_.add(well, 1ms, {}));
  clock_->advance(1ms);
  EXPECT_EQ(control_.run_due().error().what, "a");
  EXPECT_TRUE(is_readable(control_.event_fd())) << "the others are still due";
  EXPECT_EQ(control_.run_due().error().what, "b");
  EXPECT_EQ(run_due(), 1001ms);
  clock_->advance(2s);
  EXPECT_EQ(run_due(), 3001ms);
  EXPECT_EQ(first->runs, 1);
  EXPECT_EQ(second->runs, 1);
  EXPECT_EQ(well->runs, 2);
}

TEST_F(ControlTest, FollowsTheEventsThatATaskHasNow) {
  const FileDescriptor old(::eventfd(0, EFD_CLOEXEC));
  const FileDescriptor now(::eventfd(0, EFD_CLOEXEC));
  const auto task = every(1h);
  const auto id = scheduler_.add(task, 1h, {old.get()});
  const int event = control_.event_fd();
  scheduler_.set_events(id, {-1, now.get()});
  ASSERT_EQ(::eventfd_write(old.get(), 1), 0);
  EXPECT_FALSE(is_readable(event));
  ASSERT_EQ(::eventfd_write(now.get(), 1), 0);
  EXPECT_TRUE(is_readable(event));
  static_cast<void>(run_due());
  EXPECT_EQ(task->runs, 1);
  scheduler_.set_events(id, {old.get()});
  EXPECT_TRUE(is_readable(event)) << "it was signalled before";
  scheduler_.remove(id);
  scheduler_.set_events(id, {now.get()});
  EXPECT_FALSE(is_readable(event)) << "a removed task has no events";
}

TEST_F(ControlTest, DoesNotRunRemovedOrDestroyedTasks) {
  const auto removed = every(1ms);
  auto gone = every(1ms);
  const auto id = scheduler_.add(removed, 1ms, {});
  static_cast<void>(scheduler_.add(gone, 1ms, {}));
  scheduler_.remove(id);
  scheduler_.remove(id);
  gone.reset();
  clock_->advance(1ms);
  EXPECT_EQ(run_due(), Time::max());
  EXPECT_EQ(removed->runs, 0);
}

TEST_F(ControlTest, LetsATaskRemoveItselfAndAddAnother) {
  ControlScheduler::TaskId id = 0;
  const auto next = every(1s);
  const auto first = std::make_shared<Task>([&]() -> Result<Time> {
    scheduler_.remove(id);
    static_cast<void>(scheduler_.add(next, clock_->now() + 1ms, {}));
    return clock_->now();
  });
  id = scheduler_.add(first, 1ms, {});
  clock_->advance(1ms);
  EXPECT_EQ(run_due(), 2ms);
  clock_->advance(1ms);
  EXPECT_EQ(run_due(), 1002ms);
  EXPECT_EQ(first->runs, 1);
  EXPECT_EQ(next->runs, 1);
}

TEST_F(ControlTest, KeepsAReschedulingDuringARun) {
  ControlScheduler::TaskId id = 0;
  const auto task = std::make_shared<Task>([&]() -> Result<Time> {
    scheduler_.reschedule(id, clock_->now() + 1ms);
    return clock_->now() + 1s;
  });
  id = scheduler_.add(task, 1ms, {});
  clock_->advance(1ms);
  EXPECT_EQ(run_due(), 2ms);
}

TEST_F(ControlTest, AnExceptionOfAHandlerLeavesRunDueAndEndsNoTask) {
  bool throws = true;
  const auto task = std::make_shared<Task>([&]() -> Result<Time> {
    if (throws) throw std::runtime_error("a handler's");
    return clock_->now() + 1ms;
  });
  static_cast<void>(scheduler_.add(task, 0ms, {}));
  const int event = control_.event_fd();
  EXPECT_THROW(static_cast<void>(control_.run_due()), std::runtime_error);
  EXPECT_TRUE(is_readable(event)) << "it is still due";
  throws = false;
  EXPECT_EQ(run_due(), 1ms);
  EXPECT_EQ(task->runs, 2);
}

TEST_F(ControlTest, DoesNotRunARunningTaskAgain) {
  ControlScheduler::TaskId id = 0;
  int runs = 0;
  Time next_within{};
  const auto task = std::make_shared<Task>([&]() -> Result<Time> {
    if (++runs == 1) {
      // As its event or another thread may do during the run.
      scheduler_.reschedule(id, clock_->now());
      next_within = run_due();
      EXPECT_EQ(runs, 1);
    }
    return clock_->now() + 1s;
  });
  id = scheduler_.add(task, 1ms, {});
  clock_->advance(1ms);
  EXPECT_EQ(run_due(), 1001ms);
  EXPECT_EQ(next_within, Time::max()) << "only its end determines the next time";
  EXPECT_EQ(runs, 2) << "a request during the run is not lost";
}

TEST_F(ControlTest, AWaitingCallLetsDueTasksAssist) {
  const FileDescriptor raised(::eventfd(0, EFD_CLOEXEC));
  const auto due = every(1s);
  const auto unable = every(1s);
  const auto later = every(1s);
  const auto signalled = every(1s);
  due->assisted = 1h;
  signalled->assisted = 1h;
  ControlScheduler::TaskId running = 0;
  bool waited = false;
  const auto waiting = std::make_shared<Task>([&]() -> Result<Time> {
    if (!std::exchange(waited, true)) {
      scheduler_.reschedule(running, clock_->now());
      scheduler_.assist();
    }
    return clock_->now() + 1h;
  });
  running = scheduler_.add(waiting, 1ms, {});
  static_cast<void>(scheduler_.add(due, 1ms, {}));
  static_cast<void>(scheduler_.add(unable, 1ms, {}));
  static_cast<void>(scheduler_.add(later, 1s, {}));
  static_cast<void>(scheduler_.add(signalled, 1h, {raised.get(), -1}));
  ASSERT_EQ(::eventfd_write(raised.get(), 1), 0);
  clock_->advance(1ms);
  static_cast<void>(run_due());
  EXPECT_EQ(due->assists, 1);
  EXPECT_EQ(due->runs, 0) << "its next run is when assist said";
  EXPECT_EQ(unable->assists, 1);
  EXPECT_EQ(unable->runs, 1) << "still due";
  EXPECT_EQ(later->assists, 0);
  EXPECT_EQ(signalled->assists, 1) << "also without event_fd";
  EXPECT_EQ(waiting->assists, 0) << "it runs";
}

TEST_F(ControlTest, ItsEventFollowsVirtualTime) {
  const auto task = every(2ms);
  const auto early = every(2ms);
  static_cast<void>(scheduler_.add(task, 1ms, {}));
  const int event = control_.event_fd();
  ASSERT_GE(event, 0);
  EXPECT_EQ(control_.event_fd(), event);
  EXPECT_FALSE(is_readable(event));
  clock_->advance(999us);
  EXPECT_FALSE(is_readable(event));
  clock_->advance(1us);
  EXPECT_TRUE(is_readable(event));
  EXPECT_EQ(run_due(), 3ms);
  EXPECT_FALSE(is_readable(event));
  // A task that is due before all others makes the event earlier.
  static_cast<void>(scheduler_.add(early, 2ms, {}));
  clock_->advance(1ms);
  EXPECT_TRUE(is_readable(event));
  EXPECT_EQ(run_due(), 3ms);
  EXPECT_EQ(early->runs, 1);
}

TEST_F(ControlTest, ItsEventFollowsTheMachinesClock) {
  ContextFixture fixture(ContextFixture::ordinary());
  Control& control = fixture.state->control();
  const auto task = std::make_shared<Task>([&]() -> Result<Time> { return fixture.state->clock().now() + 1h; });
  static_cast<void>(fixture.state->scheduler().add(task, fixture.state->clock().now() + 1h, {}));
  const int event = control.event_fd();
  EXPECT_FALSE(is_readable(event));
  static_cast<void>(fixture.state->scheduler().add(task, fixture.state->clock().now() + 20ms, {}));
  EXPECT_TRUE(is_readable(event, 60000));
  const auto next = control.run_due();
  ASSERT_TRUE(next);
  EXPECT_EQ(task->runs, 1);
  EXPECT_GT(*next, fixture.state->clock().now() + 30min);
  EXPECT_FALSE(is_readable(event));
}

/// A clock of the program, which stops while the machine's clock advances.
class StillClock final : public Clock {
 public:
  [[nodiscard]] Duration now() const override { return 1h; }
  void sleep_for(Duration) override {}
};

TEST_F(ControlTest, ItsEventIsRearmedIfTheClockIsBehindTheMachines) {
  ContextFixture fixture(on(std::make_shared<StillClock>()));
  Control& control = fixture.state->control();
  const auto task = every(1h);
  static_cast<void>(fixture.state->scheduler().add(task, 1h + 20ms, {}));
  const int event = control.event_fd();
  EXPECT_TRUE(is_readable(event, 60000)) << "20 ms of machine time have passed";
  const auto is_rearmed = [&] {
    const auto next = control.run_due();
    EXPECT_EQ(next.value_or(Time::min()), 1h + 20ms);
    return !is_readable(event);
  };
  EXPECT_TRUE(test::eventually(is_rearmed)) << "a loop that waits for the event would spin";
  EXPECT_EQ(task->runs, 0);
}

TEST_F(ControlTest, ADevicesEventMakesItsTaskDueAtOnce) {
  for (const bool asked_before : {false, true}) {
    if (asked_before) static_cast<void>(control_.event_fd());
    const FileDescriptor raised(::eventfd(0, EFD_CLOEXEC));
    const auto concerned = every(1h);
    const auto other = every(1h);
    const auto id = scheduler_.add(concerned, clock_->now() + 1h, {-1, raised.get()});
    const auto other_id = scheduler_.add(other, clock_->now() + 1h, {-1, -1});
    const int event = control_.event_fd();
    EXPECT_FALSE(is_readable(event));
    ASSERT_EQ(::eventfd_write(raised.get(), 1), 0);
    EXPECT_TRUE(is_readable(event));
    EXPECT_EQ(run_due(), clock_->now() + 1h);
    EXPECT_EQ(concerned->runs, 1);
    EXPECT_EQ(other->runs, 0);
    // Only the driver reads the device's event; nevertheless the Control sees it once.
    EXPECT_FALSE(is_readable(event));
    ASSERT_EQ(::eventfd_write(raised.get(), 1), 0);
    EXPECT_TRUE(is_readable(event));
    scheduler_.remove(id);
    scheduler_.remove(other_id);
    EXPECT_FALSE(is_readable(event)) << "the event of a destroyed task is ignored";
  }
}

TEST_F(ControlTest, ItsDescriptorsAreCloseOnExec) {
  const auto open_descriptors = [] {
    std::set<int> open;
    for (int descriptor = 0; descriptor < 1024; ++descriptor) {
      if (::fcntl(descriptor, F_GETFD) >= 0) open.insert(descriptor);
    }
    return open;
  };
  for (const bool virtual_time : {false, true}) {
    ContextFixture fixture(virtual_time ? on(std::make_shared<ManualClock>()) : ContextFixture::ordinary());
    const std::set<int> before = open_descriptors();
    ASSERT_GE(fixture.state->control().event_fd(), 0);
    int made = 0;
    for (const int descriptor : open_descriptors()) {
      if (before.contains(descriptor)) continue;
      ++made;
      EXPECT_NE(::fcntl(descriptor, F_GETFD) & FD_CLOEXEC, 0) << descriptor;
    }
    EXPECT_EQ(made, 2) << "the epoll descriptor and the timer";
  }
}

}  // namespace
}  // namespace pollux
