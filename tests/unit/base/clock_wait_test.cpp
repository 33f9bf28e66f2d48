// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <memory>
#include <string>
#include <thread>

#include "base/file_descriptor.hpp"
#include "pollux/base/clock.hpp"

namespace pollux {
namespace {

using namespace std::chrono_literals;

FileDescriptor make_event(unsigned value = 0) { return FileDescriptor(::eventfd(value, EFD_CLOEXEC | EFD_NONBLOCK)); }

pollfd for_input(const FileDescriptor& descriptor) { return {descriptor.get(), POLLIN, -1}; }

/// A program's own Clock for virtual time. Overrides only the functions that every Clock must implement.
class OwnClock final : public Clock {
 public:
  [[nodiscard]] Duration now() const override { return now_; }
  void sleep_for(Duration span) override { now_ += std::max(span, Duration::zero()); }

 private:
  Duration now_{5s};
};

class ClockWait : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (GetParam() == 0) clock_ = std::make_unique<SteadyClock>();
    if (GetParam() == 1) clock_ = std::make_unique<ManualClock>();
    if (GetParam() == 2) clock_ = std::make_unique<OwnClock>();
  }
  std::unique_ptr<Clock> clock_;
};

TEST_P(ClockWait, ReturnsAtOnceWhatIsReady) {
  const FileDescriptor quiet = make_event();
  const FileDescriptor raised = make_event(1);
  std::array waiting{for_input(quiet), for_input(raised), pollfd{-1, POLLIN, -1}};
  const Time start = clock_->now();
  const auto ready = clock_->wait(waiting, start + 1h);
  ASSERT_TRUE(ready) << ready.error().message();
  EXPECT_EQ(*ready, 1U);
  EXPECT_EQ(waiting[0].revents, 0);
  EXPECT_EQ(waiting[1].revents, POLLIN);
  EXPECT_EQ(waiting[2].revents, 0) << "a negative descriptor is left out";
  EXPECT_LT(clock_->now() - start, 1s);
}

TEST_P(ClockWait, ReturnsZeroAtTheDeadline) {
  const FileDescriptor quiet = make_event();
  std::array waiting{for_input(quiet)};
  const Time until = clock_->now() + 20ms;
  EXPECT_EQ(clock_->wait(waiting, until).value_or(9), 0U);
  EXPECT_GE(clock_->now(), until);
  EXPECT_EQ(waiting[0].revents, 0);
}

TEST_P(ClockWait, ChecksOnceIfTheDeadlineHasPassed) {
  const FileDescriptor raised = make_event(1);
  std::array waiting{for_input(raised)};
  for (const Time until : {clock_->now(), clock_->now() - 1s, Time::min(), Time(0)}) {
    waiting[0].revents = 0;
    EXPECT_EQ(clock_->wait(waiting, until).value_or(9), 1U);
    EXPECT_EQ(clock_->wait({}, until).value_or(9), 0U);
  }
}

TEST_P(ClockWait, SleepsWithNothingToWaitFor) {
  const Time until = clock_->now() + 5ms;
  EXPECT_EQ(clock_->wait({}, until).value_or(9), 0U);
  EXPECT_GE(clock_->now(), until);
}

TEST_P(ClockWait, NeverExceedsItsMaximum) {
  const FileDescriptor quiet = make_event();
  std::array waiting{for_input(quiet)};
  const Time start = clock_->now();
  EXPECT_EQ(clock_->wait(waiting, Time::max()).value_or(9), 0U);
  EXPECT_GE(clock_->now() - start, Clock::kMaxWait);
  if (GetParam() != 0) {
    EXPECT_EQ(clock_->now() - start, Clock::kMaxWait);
  }
}

TEST_P(ClockWait, NamesADescriptorThatIsNotOpen) {
  const FileDescriptor raised = make_event(1);
  int closed = -1;
  {
    const FileDescriptor event = make_event();
    closed = event.get();
  }
  std::array waiting{for_input(raised), pollfd{closed, POLLIN, 0}};
  const auto ready = clock_->wait(waiting, clock_->now() + 1h);
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(ready.error().what.find(std::to_string(closed)), std::string::npos) << ready.error().message();
  EXPECT_EQ(waiting[1].revents, POLLNVAL);
}

TEST_P(ClockWait, AnAlarmIsReadableFromItsTimeOn) {
  auto alarm = clock_->make_alarm();
  ASSERT_TRUE(alarm) << alarm.error().message();
  std::array waiting{pollfd{(*alarm)->event_fd(), POLLIN, 0}};
  const auto is_readable = [&] { return clock_->wait(waiting, Time(0)).value_or(0) == 1; };
  EXPECT_FALSE(is_readable()) << "it was not set";
  (*alarm)->set(clock_->now() + 1h);
  EXPECT_FALSE(is_readable());
  (*alarm)->set(clock_->now());
  if (GetParam() != 1) clock_->sleep_for(1ms);
  EXPECT_TRUE(clock_->wait(waiting, clock_->now() + 1s).value_or(0) == 1);
  EXPECT_TRUE(is_readable()) << "until it is set anew";
  (*alarm)->set(Time::max());
  EXPECT_FALSE(is_readable());
}

std::string name_of(const testing::TestParamInfo<int>& clock) {
  return clock.param == 0 ? "Steady" : clock.param == 1 ? "Manual" : "Own";
}

INSTANTIATE_TEST_SUITE_P(Clocks, ClockWait, testing::Values(0, 1, 2), name_of);

TEST(ManualClockWait, RunsItsFollowersUntilADescriptorIsReadable) {
  ManualClock clock;
  const FileDescriptor event = make_event();
  clock.follow([&](Time now) {
    if (now == 300us) static_cast<void>(::eventfd_write(event.get(), 1));
  });
  std::array waiting{for_input(event)};
  EXPECT_EQ(clock.wait(waiting, 10s).value_or(0), 1U);
  EXPECT_EQ(clock.now(), 300us) << "and not a step further";
}

TEST(ManualClockWait, EndsExactlyAtTheDeadline) {
  ManualClock clock;
  EXPECT_EQ(clock.wait({}, 12345ns).value_or(9), 0U);
  EXPECT_EQ(clock.now(), 12345ns);
}

TEST(ManualClockWait, AnAlarmEndsItInVirtualTime) {
  ManualClock clock;
  auto alarm = clock.make_alarm();
  ASSERT_TRUE(alarm);
  (*alarm)->set(500us);
  std::array waiting{pollfd{(*alarm)->event_fd(), POLLIN, 0}};
  EXPECT_EQ(clock.wait(waiting, 10s).value_or(0), 1U);
  EXPECT_EQ(clock.now(), 500us);
  alarm->reset();
  clock.advance(1ms);
}

TEST(SteadyClockWait, AnotherThreadEndsIt) {
  SteadyClock clock;
  const FileDescriptor event = make_event();
  std::thread writer([&] {
    clock.sleep_for(2ms);
    static_cast<void>(::eventfd_write(event.get(), 1));
  });
  std::array waiting{for_input(event)};
  unsigned ready = 0;
  while (ready == 0) ready = clock.wait(waiting, Time::max()).value_or(9);
  writer.join();
  EXPECT_EQ(ready, 1U);
}

std::atomic<int> handled{0};

TEST(SteadyClockWait, ASignalsHandlerEndsItWithNothingReady) {
  struct sigaction action {};
  action.sa_handler = [](int) { ++handled; };
  struct sigaction before {};
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
  SteadyClock clock;
  const FileDescriptor quiet = make_event();
  std::array waiting{for_input(quiet)};
  std::atomic<bool> over{false};
  const pthread_t waiter = pthread_self();
  std::thread sender([&] {
    while (!over) {
      ::pthread_kill(waiter, SIGUSR1);
      clock.sleep_for(1ms);
    }
  });
  bool interrupted = false;
  for (int i = 0; i < 20 && !interrupted; ++i) {
    const Time start = clock.now();
    EXPECT_EQ(clock.wait(waiting, start + Clock::kMaxWait).value_or(9), 0U);
    interrupted = clock.now() - start < Clock::kMaxWait;
    EXPECT_EQ(waiting[0].revents, 0);
    waiting[0].revents = -1;
  }
  over = true;
  sender.join();
  ::sigaction(SIGUSR1, &before, nullptr);
  EXPECT_TRUE(interrupted);
  EXPECT_GT(handled, 0);
}

}  // namespace
}  // namespace pollux
