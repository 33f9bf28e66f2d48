// SPDX-License-Identifier: BSD-3-Clause
// Run loops: the order of a round, what other threads may do, stalls, and the end.
#include "pollux/runtime/run_loop.hpp"

#include <gmock/gmock.h>

#include <stdexcept>

#include "fake_queue.hpp"
#include "fake_tx_queue.hpp"

namespace pollux::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

class RunLoopTest : public PollerFixture {
 protected:
  RunLoopTest() {
    polled_ = must(loop_.poller().add(queue_, [this](Burst<64>& burst) {
      order_ += 'r';
      frames_ += burst.size();
      burst.drop(handled_, cache_);
    }));
    round();
  }
  std::uint32_t round() { return must(loop_.run_once(clock_->now() + milliseconds(1))); }

  FakeQueue queue_{cache_};
  FakeTxQueue tx_{64};
  std::string order_;
  std::uint64_t frames_ = 0;
  RunLoop loop_{context_};
  PolledQueue* polled_ = nullptr;
};

TEST_F(RunLoopTest, ARoundTransmitsBeforeItReceives) {
  TransmitWork& low = loop_.add_transmit("low", [&] { return order_ += '0', false; });
  TransmitWork& high = loop_.add_transmit("high", [&] { return order_ += '1', false; });
  round();
  EXPECT_EQ(order_, "01");
  EXPECT_TRUE(high.schedule());
  EXPECT_FALSE(high.schedule());
  EXPECT_TRUE(low.schedule());
  loop_.poller().add_task("task", [&] { return order_ += 't', false; });
  loop_.post([&] { order_ += 'p'; });
  queue_.put(1);
  round();
  EXPECT_EQ(order_, "01p01rt");
  round();
  EXPECT_EQ(order_, "01p01rt");
}

TEST_F(RunLoopTest, TransmitWorkThatHasMoreKeepsTheLoopAwake) {
  int runs = 0;
  loop_.add_transmit("three", [&] { return ++runs < 3; });
  const Time before = clock_->now();
  round();
  round();
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(clock_->now(), before);
  round();
  round();
  EXPECT_EQ(runs, 3);
  EXPECT_GT(clock_->now(), before);
}

TEST_F(RunLoopTest, TransmitWorkMayRemoveItselfAndAddOthers) {
  int runs = 0;
  TransmitWork* itself = nullptr;
  itself = &loop_.add_transmit("first", [&] {
    ++runs;
    loop_.add_transmit("second", [&] { return runs += 10, false; });
    loop_.remove(*itself);
    return true;
  });
  for (int i = 0; i < 3; ++i) round();
  EXPECT_EQ(runs, 11);
}

TEST_F(RunLoopTest, SentFramesAreFreedAlsoWhileNothingIsReceived) {
  loop_.add(tx_);
  Burst<64> burst;
  while (burst.size() < 10) {
    MbufPtr mbuf = cache_.allocate();
    ASSERT_TRUE(burst.push(mbuf));
  }
  tx_.tx_burst(burst);
  const Time before = clock_->now();
  static_cast<void>(must(loop_.run_once(before + milliseconds(500))));
  EXPECT_EQ(clock_->now(), before + RunLoop::kFreeInterval);
  tx_.sent = 10;
  static_cast<void>(must(loop_.run_once(clock_->now())));
  EXPECT_EQ(tx_.in_flight(), 0U);
  static_cast<void>(must(loop_.run_once(before + milliseconds(500))));
  EXPECT_EQ(clock_->now(), before + milliseconds(500));
  // While frames come, the bursts of handlers free them; the first round without frames does not sleep.
  std::uint64_t cleanups = tx_.cleanups;
  queue_.put(1);
  round();
  const Time last = clock_->now();
  round();
  EXPECT_EQ(tx_.cleanups, cleanups + 1);
  EXPECT_EQ(clock_->now(), last);
  round();  // the descriptor of the queue is still readable
  round();
  EXPECT_EQ(tx_.cleanups, cleanups + 3);
  EXPECT_GT(clock_->now(), last);
  loop_.remove(tx_);
  cleanups = tx_.cleanups;
  round();
  EXPECT_EQ(tx_.cleanups, cleanups);
}

TEST_F(RunLoopTest, PostedWorkMayPostMore) {
  int runs = 0;
  std::function<void()> again = [&] {
    ++runs;
    loop_.post(again);
    throw std::runtime_error("posted");
  };
  loop_.post(again);
  const Time before = clock_->now();
  for (int i = 0; i < 3; ++i) round();
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(clock_->now(), before);
  EXPECT_EQ(loop_.poller().exceptions(), 3U);
  EXPECT_THAT(log_.front(), HasSubstr("posted work threw an exception: posted"));
}

TEST_F(RunLoopTest, WhatThrowsOrStallsIsNamedAndStopsNothingElse) {
  int others = 0;
  TransmitWork& bad = loop_.add_transmit("shaper", []() -> bool { throw std::runtime_error("no rate"); });
  loop_.add_transmit("other", [&] { return ++others, false; });
  PollerTask& slow = loop_.poller().add_task("statistics", [&] { return clock_->advance(milliseconds(11)), false; });
  loop_.poller().add_timer(Time::zero(), [&] { clock_->advance(milliseconds(20)); });
  round();
  EXPECT_EQ(others, 1);
  EXPECT_EQ(loop_.poller().exceptions(), 1U);
  EXPECT_EQ(loop_.poller().stalls(), 2U);
  EXPECT_THAT(log_, ElementsAre("poller: shaper threw an exception: no rate",
                                "poller: statistics kept the queues waiting for 11.0 ms",
                                "poller: a timer kept the queues waiting for 20.0 ms"));
  bad.schedule();
  slow.schedule();
  round();
  EXPECT_EQ(loop_.poller().exceptions(), 2U);
  EXPECT_EQ(loop_.poller().stalls(), 3U);
  EXPECT_EQ(log_.size(), 3U) << "each is logged once";
}

TEST_F(RunLoopTest, AStallIsToldToTheProgram) {
  std::vector<std::string> stalls;
  RunLoop loop(context_,
               {.poller = {.stall_limit = microseconds(5), .on_stall = [&](std::string_view name, Duration took) {
                             stalls.emplace_back(name);
                             EXPECT_EQ(took, microseconds(10));
                             throw 1;
                           }}});
  loop.poller().add_task("task", [&] { return clock_->advance(microseconds(10)), false; });
  loop.poller().add_task("quick", [&] { return clock_->advance(microseconds(5)), false; });
  static_cast<void>(must(loop.run_once(Time::min())));
  static_cast<void>(must(loop.run_once(Time::min())));
  EXPECT_THAT(stalls, ElementsAre("task"));
  EXPECT_TRUE(log_.empty());
  EXPECT_EQ(loop.poller().exceptions(), 1U);
}

TEST_F(RunLoopTest, WhatRunsHasAName) {
  std::vector<std::string> names;
  const auto note = [&] { names.push_back(loop_.poller().running()); };
  loop_.add_transmit("shaper", [&] { return note(), false; });
  loop_.poller().add_task("task", [&] { return note(), false; });
  loop_.poller().add_timer(Time::zero(), note);
  FakeQueue other(cache_);
  must(loop_.poller().add(other,
                          [&](Burst<8>& burst) {
                            note();
                            burst.drop(handled_);
                          },
                          {.name = "port 1, queue 0"}));
  other.put(1);
  round();
  note();
  EXPECT_THAT(names, ElementsAre("shaper", "port 1, queue 0", "task", "a timer", ""));
}

TEST_F(RunLoopTest, ADrainHandlesWhatHasComeAndSendsWhatWaits) {
  loop_.add(tx_);
  int waiting = 200;
  loop_.add_transmit("queueing discipline", [&] {
    Burst<32> burst;
    while (waiting != 0 && burst.size() < 32) {
      MbufPtr mbuf = cache_.allocate();
      if (!burst.push(mbuf)) break;
      --waiting;
    }
    tx_.tx_burst(burst);
    waiting += static_cast<int>(burst.size());
    burst.drop(handled_);
    return waiting != 0;
  });
  clock_->follow([&](Time) { tx_.sent = 1; });  // a frame a step
  queue_.put(1000);
  loop_.stop();
  EXPECT_TRUE(loop_.run());
  EXPECT_EQ(frames_, 1000U);
  EXPECT_EQ(waiting, 0);
  EXPECT_EQ(tx_.in_flight(), 0U);
  EXPECT_FALSE(polled_->is_enabled());
  EXPECT_FALSE(loop_.is_stopping()) << "it may run again";
}

TEST_F(RunLoopTest, ADrainEndsAlthoughFramesKeepComing) {
  queue_.put(64);
  loop_.poller().add_task("partner", [&] { return queue_.put(64), true; });
  loop_.stop();
  EXPECT_TRUE(loop_.run());
  EXPECT_GE(frames_, RunLoop::kMaxDrained);
  EXPECT_LE(frames_, RunLoop::kMaxDrained + 300);
}

TEST_F(RunLoopTest, ADrainThatCannotEndNamesWhatIsLeft) {
  RunLoop loop(context_, {.name = "worker", .drain_limit = milliseconds(2)});
  loop.add(tx_);
  Burst<64> burst;
  MbufPtr mbuf = cache_.allocate();
  ASSERT_TRUE(burst.push(mbuf));
  tx_.tx_burst(burst);
  const auto ring = loop.drain();
  ASSERT_FALSE(ring);
  EXPECT_EQ(ring.error().code, ErrorCode::timeout);
  EXPECT_EQ(ring.error().what, "worker: frames are in a transmit ring after 2 ms");
  tx_.sent = 1;
  tx_.tx_done_cleanup();
  loop.add_transmit("shaper", [] { return true; });
  EXPECT_EQ(loop.drain().error().what, "worker: shaper still has frames to send after 2 ms");
}

TEST_F(RunLoopTest, InvokedInItsOwnThreadWorkRunsAtOnce) {
  int runs = 0;
  loop_.post([&] {
    EXPECT_TRUE(loop_.invoke([&] { ++runs; }));
    EXPECT_EQ(runs, 1);
  });
  round();
  EXPECT_EQ(runs, 1);
  // No thread runs the loop now.
  const auto late = loop_.invoke([&] { ++runs; }, milliseconds(1));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::timeout);
  EXPECT_THAT(late.error().what, HasSubstr("run loop: no round began in time"));
  round();
  EXPECT_EQ(runs, 1) << "it was given up";
}

TEST_F(RunLoopTest, ACallbackCannotRunARound) {
  std::vector<ErrorCode> codes;
  loop_.add_transmit("round in a round", [&] {
    codes.push_back(loop_.run_once().error().code);
    codes.push_back(loop_.drain().error().code);
    return false;
  });
  round();
  EXPECT_THAT(codes, ElementsAre(ErrorCode::bad_state, ErrorCode::bad_state));
  EXPECT_TRUE(polled_->is_enabled());
}

TEST_F(RunLoopTest, AnExceptionOfTheClockEndsARoundAsWell) {
  bool throws = true;
  clock_->follow([&throws](Duration) {
    if (std::exchange(throws, false)) throw std::runtime_error("no time");
  });
  EXPECT_THROW(round(), std::runtime_error);
  queue_.put(1);
  EXPECT_EQ(round(), 1U);
}

TEST_F(RunLoopTest, WhatDestroyedWorkOwnsMayRemoveOthers) {
  struct Owner {
    std::function<void()> at_end;
    ~Owner() { at_end(); }
  };
  int runs = 0;
  TransmitWork& second = loop_.add_transmit("second", [&] { return ++runs, false; });
  auto owner = std::make_shared<Owner>([&] { loop_.remove(second); });
  TransmitWork& first = loop_.add_transmit("first", [owner] { return owner == nullptr; });
  owner.reset();
  loop_.remove(first);
  round();
  EXPECT_EQ(runs, 0);
}

}  // namespace
}  // namespace pollux::test
