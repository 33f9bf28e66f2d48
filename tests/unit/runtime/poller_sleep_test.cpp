// SPDX-License-Identifier: BSD-3-Clause
// When a poller sleeps, what wakes it, and for how long it polls before. tests/explorer goes through every order of
// events.
#include <gmock/gmock.h>

#include <functional>
#include <optional>
#include <span>
#include <thread>
#include <utility>

#include "flow_frame.hpp"
#include "poller_sleep_fixture.hpp"
#include "pollux/pollux.hpp"
#include "support/fixture.hpp"

namespace pollux::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

TEST_F(PollerSleep, AnInterruptQueueSleepsAsSoonAsAPollFindsNothing) {
  FakeQueue queue(cache_);
  std::uint64_t frames = 0;
  Poller poller(context_);
  PolledQueue& polled = *must(poller.add(queue, counting(frames), {.mode = PollMode::interrupt}));
  run(poller);  // begins
  put_at(queue, clock_->now() + microseconds(300));
  EXPECT_EQ(wait_for_frame(poller), microseconds(300));
  EXPECT_EQ(queue.limits.size(), 3U) << "no poll while it sleeps";
  EXPECT_EQ(polled.stats().wakeups, 1U);
  EXPECT_FALSE(queue.armed);
}

TEST_F(PollerSleep, ThePollersEndDisarmsItsQueues) {
  FakeQueue queue(cache_);
  std::uint64_t frames = 0;
  auto poller = std::make_unique<Poller>(context_);
  must(poller->add(queue, counting(frames), {.mode = PollMode::interrupt}));
  run(*poller);
  run(*poller);
  EXPECT_TRUE(queue.armed);
  poller.reset();
  EXPECT_FALSE(queue.armed);
}

TEST_F(PollerSleep, ABusyQueueNeverSleepsAndIsNeverArmed) {
  FakeQueue busy(cache_);
  FakeQueue other(cache_);
  std::uint64_t frames = 0;
  Poller poller(context_);
  PolledQueue& polled = *must(poller.add(busy, counting(frames), {.mode = PollMode::busy}));
  must(poller.add(other, counting(frames), {.mode = PollMode::interrupt}));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(run(poller), 0U);
  EXPECT_EQ(clock_->now(), Time::zero());
  EXPECT_EQ(busy.arms + other.arms, 0U);
  other.put(1);
  EXPECT_EQ(run(poller), 1U) << "without an event";
  ASSERT_TRUE(polled.set_mode(PollMode::interrupt));
  run(poller);
  run(poller);
  EXPECT_TRUE(busy.armed && other.armed);
  EXPECT_GT(clock_->now(), Time::zero());
}

TEST_F(PollerSleep, SleepsNoLongerThanAskedForAndAtMostASecond) {
  FakeQueue queue(cache_);
  std::uint64_t frames = 0;
  Poller poller(context_);
  must(poller.add(queue, counting(frames), {.mode = PollMode::interrupt}));
  run(poller);
  ASSERT_TRUE(poller.run_once(clock_->now() + milliseconds(2)));
  EXPECT_EQ(clock_->now(), milliseconds(2));
  ASSERT_TRUE(poller.run_once(clock_->now()));
  EXPECT_EQ(clock_->now(), milliseconds(2)) << "only polls";
  ASSERT_TRUE(poller.run_once());
  EXPECT_EQ(clock_->now(), milliseconds(2) + Clock::kMaxWait);
  EXPECT_EQ(queue.arms, 1U) << "it stays armed";
}

TEST_F(PollerSleep, AFrameThatComesBeforeItIsArmedIsPolledAtOnce) {
  FakeQueue first(cache_);
  FakeQueue second(cache_);
  std::uint64_t frames = 0;
  Poller poller(context_);
  must(poller.add(first, counting(frames), {.mode = PollMode::interrupt}));
  must(poller.add(second, counting(frames), {.mode = PollMode::interrupt}));
  run(poller);
  second.refuses = true;  // as for a frame that comes after the poll
  EXPECT_EQ(run(poller), 0U);
  EXPECT_EQ(clock_->now(), Time::zero());
  second.refuses = false;
  second.put(1);
  EXPECT_EQ(run(poller), 1U);
  EXPECT_TRUE(first.armed);
}

TEST_F(PollerSleep, AQueueThatIsNeverArmedIsPolledAfterShortSleeps) {
  FakeQueue queue(cache_);
  std::uint64_t frames = 0;
  Poller poller(context_);
  must(poller.add(queue, counting(frames), {.mode = PollMode::interrupt}));
  queue.refuses = true;
  for (int i = 0; i < 12; ++i) EXPECT_EQ(run(poller), 0U);
  EXPECT_EQ(clock_->now(), 10 * Clock::kWaitStep) << "all but the first signal and the first refusal";
}

TEST_F(PollerSleep, AQueueWithoutADescriptorIsPolled) {
  FakeQueue queue(cache_, false);
  std::uint64_t frames = 0;
  Poller poller(context_);
  PolledQueue& polled = *must(poller.add(queue, counting(frames)));
  for (int i = 0; i < 10'000; ++i) run(poller);
  EXPECT_EQ(clock_->now(), Time::zero());
  EXPECT_EQ(queue.arms, 0U);
  const auto refused = polled.set_mode(PollMode::interrupt);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("queue 0 has no descriptor"));
  EXPECT_EQ(polled.mode(), PollMode::adaptive);
}

TEST_F(PollerSleep, AnAdaptiveQueueFollowsItsArrivals) {
  FakeQueue queue(cache_);
  std::uint64_t frames = 0;
  Poller poller(context_);
  PolledQueue& polled = *must(poller.add(queue, counting(frames)));
  EXPECT_EQ(polled.spin_window(), Duration::zero()) << "at first it sleeps at once";
  // The sleep itself advances the clock, so the frame comes while it sleeps.
  run(poller);
  put_at(queue, clock_->now() + microseconds(30));
  wait_for_frame(poller);
  EXPECT_EQ(polled.spin_window(), microseconds(50));
  pause(poller, queue, microseconds(40));
  EXPECT_EQ(polled.spin_window(), microseconds(50)) << "came in the window";
  EXPECT_FALSE(queue.armed) << "did not sleep";
  pause(poller, queue, microseconds(60), 2);
  EXPECT_EQ(polled.spin_window(), microseconds(100));
  pause(poller, queue, microseconds(150), 3);
  EXPECT_EQ(polled.spin_window(), microseconds(200));
  pause(poller, queue, microseconds(200), 4);
  EXPECT_EQ(polled.spin_window(), microseconds(200));
  for (const int expected : {100, 50, 0, 0}) {
    pause(poller, queue, milliseconds(1), 60);
    EXPECT_EQ(polled.spin_window(), microseconds(expected));
  }
}

TEST_F(PollerSleep, AnAdaptiveQueueIsPolledBetweenBatches) {
  FakeQueue queue(cache_);
  std::uint64_t frames = 0;
  Poller poller(context_);
  PolledQueue& polled = *must(poller.add(queue, counting(frames)));
  open_window(poller, queue);
  // 50,000 frames a second in batches of four, whose frames are found one by one.
  for (int batch = 0; batch < 50; ++batch) {
    pause(poller, queue, microseconds(77));
    for (int frame = 0; frame < 3; ++frame) pause(poller, queue, microseconds(1));
    EXPECT_LE(polled.mean_interval(), PolledQueue::kMaxInterval);
    EXPECT_EQ(polled.spin_window(), microseconds(100));
  }
  EXPECT_EQ(polled.stats().wakeups, 1U) << "the one that opened the window";
}

TEST_F(PollerSleep, AnAdaptiveQueueSleepsIfFramesComeTooSeldom) {
  FakeQueue queue(cache_);
  std::uint64_t frames = 0;
  Poller poller(context_);
  PolledQueue& polled = *must(poller.add(queue, counting(frames)));
  open_window(poller, queue);
  for (int i = 0; i < 10; ++i) pause(poller, queue, microseconds(100));
  EXPECT_GT(polled.mean_interval(), PolledQueue::kMaxInterval);
  EXPECT_EQ(polled.spin_window(), Duration::zero()) << "although each came in the window";
  // A batch a millisecond, each found by one poll: frequent, but the gaps are longer than the longest window.
  for (int i = 0; i < 10; ++i) pause(poller, queue, milliseconds(1), 60);
  EXPECT_LT(polled.mean_interval(), microseconds(5));
  EXPECT_EQ(polled.spin_window(), Duration::zero());
}

TEST_F(PollerSleep, AnAdaptiveQueueSleepsWhenItsWindowEnds) {
  FakeQueue queue(cache_);
  std::uint64_t frames = 0;
  Poller poller(context_);
  must(poller.add(queue, counting(frames)));
  open_window(poller, queue);
  run(poller);
  clock_->advance(microseconds(49));
  run(poller);
  EXPECT_EQ(queue.arms, 0U);
  clock_->advance(microseconds(1));
  run(poller);
  EXPECT_EQ(queue.arms, 1U);
}

TEST_F(PollerSleep, AWindowEndsInVirtualTimeThatDoesNotPass) {
  FakeQueue queue(cache_);
  std::uint64_t frames = 0;
  Poller poller(context_);
  must(poller.add(queue, counting(frames)));
  open_window(poller, queue);
  for (std::uint32_t i = 0; i <= PolledQueue::kMaxEmptyPolls; ++i) run(poller);
  EXPECT_TRUE(queue.armed);
}

TEST_F(PollerSleep, ADescriptorThatWasClosedIsAnErrorAndNotForADisabledQueue) {
  FakeQueue queue(cache_);
  std::uint64_t frames = 0;
  Poller poller(context_);
  PolledQueue& polled = *must(poller.add(queue, counting(frames), {.mode = PollMode::interrupt}));
  run(poller);
  run(poller);
  const int spare = ::dup(queue.event_fd());
  ASSERT_EQ(::close(queue.event_fd()), 0);
  const auto failed = poller.run_once();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(failed.error().message(), HasSubstr("is not open"));
  ASSERT_TRUE(polled.disable());
  EXPECT_TRUE(poller.run_once());
  ASSERT_EQ(::dup2(spare, queue.event_fd()), queue.event_fd());
  ::close(spare);
}

/// Another thread acts when the poller has decided to wait, but does not wait yet.
class InterferingClock final : public Clock {
 public:
  [[nodiscard]] Duration now() const override { return now_; }
  void sleep_for(Duration span) override { now_ += span; }
  [[nodiscard]] Result<unsigned> wait(std::span<pollfd> descriptors, Time until) override {
    if (interfere) std::thread(std::exchange(interfere, nullptr)).join();
    return Clock::wait(descriptors, until);
  }
  std::function<void()> interfere;

 private:
  Duration now_{1};
};

TEST(PollerInterference, APortThatIsClosedAfterItsQueueWasDisabledIsNoError) {
  const auto clock = std::make_shared<InterferingClock>();
  Context context({.clock = clock, .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30});
  std::optional<Port> port = open(context, "null:", {}).value();
  Poller poller(context);
  PolledQueue& polled = *poller.add(port->rx(0), [](Burst<64>&) {}, {.mode = PollMode::interrupt}).value();
  clock->interfere = [&] {
    EXPECT_TRUE(polled.disable());
    port.reset();
  };
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(poller.run_once(clock->now() + milliseconds(1)));
  EXPECT_FALSE(clock->interfere) << "it waited";
}

/// Two ports of a wire, or of a ring, in one poller.
class PollerPorts : public PollerFixture {
 protected:
  void send(Port& port) {
    MbufPtr mbuf = port.rx_pool()->allocate();
    std::fill_n(mbuf->append(60), 60, std::uint8_t{0xFF});
    Burst<1> burst;
    ASSERT_TRUE(burst.push(mbuf));
    ASSERT_EQ(port.tx(0).tx_burst(burst), 1U);
  }
};

TEST_F(PollerPorts, PortsOfDifferentKindsWakeItInVirtualTime) {
  Port ring_left = must(open(context_, "ring:a:0", {}));
  Port ring_right = must(open(context_, "ring:a:1", {}));
  Port null = must(open(context_, "null:", {}));
  Port card_left = must(open(context_, "sim:0", {}));
  Port card_right = must(open(context_, "sim:1", {}));
  ASSERT_TRUE(card_left.wait_for_link(seconds(10)) && card_right.wait_for_link(seconds(10)));
  std::uint64_t from_ring = 0;
  std::uint64_t from_card = 0;
  std::uint64_t from_null = 0;
  Poller poller(context_);
  PolledQueue& ring = *must(poller.add(ring_right.rx(0), counting(from_ring), {.mode = PollMode::interrupt}));
  PolledQueue& card = *must(poller.add(card_right.rx(0), counting(from_card), {.mode = PollMode::interrupt}));
  must(poller.add(null.rx(0), counting(from_null)));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(poller.run_once(clock_->now() + microseconds(100)));
  for (std::uint64_t round = 1; round <= 20; ++round) {
    poller.add_timer(clock_->now() + microseconds(50), [&] { send(round % 2 == 0 ? ring_left : card_left); });
    for (int i = 0; i < 6; ++i) ASSERT_TRUE(poller.run_once(clock_->now() + milliseconds(1)));
    EXPECT_EQ(from_ring + from_card, round);
  }
  EXPECT_EQ(from_ring, 10U);
  EXPECT_EQ(from_card, 10U);
  EXPECT_EQ(from_null, 0U);
  EXPECT_GT(ring.stats().wakeups + card.stats().wakeups, 0U);
}

TEST_F(PollerPorts, TheContextsControlIsADescriptorOfThePoller) {
  Port port = must(open(context_, "sim:0", {}));
  std::uint64_t frames = 0;
  int calls = 0;
  Poller poller(context_);
  must(poller.add(port.rx(0), counting(frames), {.mode = PollMode::interrupt}));
  must(poller.add_descriptor(context_.control().event_fd(), [&](short) {
    ++calls;
    EXPECT_TRUE(context_.control().run_due());
  }));
  const Time end = clock_->now() + seconds(5);
  while (clock_->now() < end) run(poller);
  EXPECT_GE(calls, 4);
}

TEST_F(PollerSleep, ABlockingReceiveWaitsForAsLongAsADurationLasts) {
  FakeQueue queue(cache_);
  clock_->advance(milliseconds(1));
  put_at(queue, milliseconds(5));
  Burst<32> burst;
  ASSERT_EQ(must(rx_burst_wait(*clock_, queue, burst, Duration::max())), 1U);
  EXPECT_GE(clock_->now(), milliseconds(5));
  burst.drop(handled_);
}

TEST(PollerCard, QueuesThatShareAVectorWakeIt) {
  CardFixture fixture({.port = {.rx = {4, {.ring = 64}}, .tx = {{.ring = 64}}}, .card = {.vectors = 2}});
  std::uint64_t frames = 0;
  DropCounter handled("handled");
  Poller poller(fixture.context);
  for (std::uint16_t queue = 0; queue < 4; ++queue) {
    ASSERT_TRUE(poller.add(fixture.port.rx(queue),
                           [&](Burst<64>& burst) {
                             frames += burst.size();
                             burst.drop(handled);
                           },
                           {.mode = PollMode::interrupt}));
  }
  const auto run_for = [&](Duration span) {
    const Time end = fixture.clock->now() + span;
    while (fixture.clock->now() < end) ASSERT_TRUE(poller.run_once(end));
  };
  for (std::uint64_t round = 1; round <= 32; ++round) {
    run_for(milliseconds(1));
    poller.add_timer(fixture.clock->now() + microseconds(50), [&] { fixture.inject(flow(round)); });
    run_for(milliseconds(1));
    EXPECT_EQ(frames, round);
  }
}

}  // namespace
}  // namespace pollux::test
