// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/burst_gate.hpp"

#include <gtest/gtest.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

namespace pollux {
namespace {

using std::chrono::milliseconds;

/// The data of a burst function: ordinary memory, like a queue's ring.
struct Work {
  std::uint64_t bursts = 0;
  std::uint64_t copy = 0;
  std::atomic<bool> entered{false};
  std::atomic<bool> may_leave{false};
};

using Function = std::uint32_t(Work&) noexcept;

std::uint32_t idle(Work&) noexcept { return 0; }
std::uint32_t busy(Work& work) noexcept {
  ++work.bursts;
  work.copy = work.bursts;
  return 1;
}
std::uint32_t stuck(Work& work) noexcept {
  work.entered = true;
  while (!work.may_leave) std::this_thread::yield();
  return 2;
}

TEST(BurstGate, CallsTheOpenFunction) {
  ManualClock clock;
  Work work;
  BurstGate<Function> gate(&idle);
  EXPECT_EQ(gate.call(work), 0u);
  gate.open(&busy);
  EXPECT_EQ(gate.call(work), 1u);
  ASSERT_TRUE(gate.close(&idle, clock, milliseconds(1)));
  EXPECT_EQ(gate.call(work), 0u);
  EXPECT_EQ(work.bursts, 1u);
}

// The controlling thread changes the data while the gate is closed. A poller that is still inside would change the
// count, and ThreadSanitizer would report a race.
TEST(BurstGate, NoThreadIsInsideAfterClose) {
  constexpr int kTimes = 300;
  constexpr int kAtLeast = 20;  // on a busy machine, where each hand-over takes a time slice
  SteadyClock clock;
  Work work;
  std::atomic<bool> over{false};
  BurstGate<Function> gate(&idle);
  std::thread poller([&] {
    while (!over) static_cast<void>(gate.call(work));
  });
  std::uint64_t seen = 0;
  int closed = 0;
  const Duration enough = clock.now() + std::chrono::seconds(2);
  const Duration limit = clock.now() + std::chrono::seconds(30);
  const auto another = [&] {
    if (closed < kAtLeast) return true;
    if (seen == 0) return clock.now() < limit;  // the poller has not run while the gate was open
    return closed < kTimes && clock.now() < enough;
  };
  bool sound = true;
  for (; sound && another(); ++closed) {
    gate.open(&busy);
    if (closed % 3 != 0) std::this_thread::yield();
    if (closed % 16 == 0 || closed > kTimes) std::this_thread::sleep_for(milliseconds(1));
    sound = gate.close(&idle, clock, std::chrono::seconds(30)).has_value();
    sound = sound && work.bursts >= seen && work.copy == work.bursts;
    if (!sound) break;
    seen = work.bursts;
    work.copy = 0;
    std::this_thread::yield();
    sound = work.bursts == seen && work.copy == 0;
    work.copy = work.bursts;
  }
  over = true;
  poller.join();
  EXPECT_TRUE(sound) << "after " << closed << " times";
  EXPECT_GT(seen, 0u);
}

TEST(BurstGate, AStuckPollerIsATimeoutAndTheGateStaysClosed) {
  ManualClock clock;
  SteadyClock machine;
  Work work;
  BurstGate<Function> gate(&idle);
  gate.open(&stuck);
  std::uint32_t result = 0;
  std::thread poller([&] { result = gate.call(work); });
  while (!work.entered) std::this_thread::yield();
  const Time begun = machine.now();
  const auto closed = gate.close(&idle, clock, milliseconds(20));
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().code, ErrorCode::timeout);
  EXPECT_EQ(closed.error().what, "the end of the polling thread's burst did not happen within 20 ms");
  EXPECT_GE(machine.now(), begun + milliseconds(20)) << "virtual time would give the thread none";
  work.may_leave = true;
  poller.join();
  EXPECT_EQ(result, 2u) << "the running burst ended normally";
  EXPECT_EQ(gate.call(work), 0u) << "the gate is closed nevertheless";
  EXPECT_TRUE(gate.close(&idle, clock, milliseconds(20))) << "a second call succeeds";
}

TEST(BurstGate, ReopensForAnotherFunction) {
  ManualClock clock;
  Work work;
  work.may_leave = true;
  BurstGate<Function> gate(&idle);
  for (int i = 0; i < 3; ++i) {
    gate.open(&busy);
    EXPECT_EQ(gate.call(work), 1u);
    ASSERT_TRUE(gate.close(&idle, clock, milliseconds(1)));
    gate.open(&stuck);
    EXPECT_EQ(gate.call(work), 2u);
    ASSERT_TRUE(gate.close(&idle, clock, milliseconds(1)));
  }
}

TEST(BarrierOnAllThreads, SleepsOnlyWithoutMembarrier) {
  const long commands = ::syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
  const bool offered = commands >= 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0;
  class CountingClock final : public Clock {
   public:
    [[nodiscard]] Duration now() const override { return now_; }
    void sleep_for(Duration span) override { now_ += span; }

   private:
    Duration now_{0};
  } clock;
  barrier_on_all_threads(clock);
  barrier_on_all_threads(clock);
  if (offered) {
    EXPECT_EQ(clock.now(), Duration(0));
  } else {
    EXPECT_EQ(clock.now(), milliseconds(2));
  }
}

}  // namespace
}  // namespace pollux
