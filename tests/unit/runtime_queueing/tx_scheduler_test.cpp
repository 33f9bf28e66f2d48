// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>

#include "link_queue.hpp"
#include "pollux/runtime/queueing/tx_scheduler.hpp"
#include "queueing_fixture.hpp"

namespace pollux::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kGigabit = 125'000'000;  // bytes per second

class TxSchedulerTest : public QueueingFixture {
 protected:
  static TxSchedulerOptions with(Queue queue) {
    TxSchedulerOptions options;
    options.queue = std::move(queue);
    return options;
  }
  void enqueue(TxScheduler& scheduler, std::uint32_t frames, Time now, std::uint32_t length = 1000) {
    for (std::uint32_t i = 0; i < frames; ++i) {
      Burst<1> burst;
      MbufPtr one = frame(put_++, 0, length);
      ASSERT_TRUE(burst.push(one));
      scheduler.enqueue(burst, now);
    }
  }
  static void expect_accounted_for(TxScheduler& scheduler) {
    EXPECT_EQ(scheduler.stats().enqueued, scheduler.stats().sent + scheduler.queue().dropped() + scheduler.waiting());
  }
};

TEST_F(TxSchedulerTest, SendsInTheOrderOfTheDiscipline) {
  LinkQueue link(1024, kGigabit);
  std::vector<std::uint64_t> order;
  link.on_sent = [&](Mbuf& sent, Time) { order.push_back(sent.timestamp()); };
  StrictPriorityOptions bands;
  bands.bands.push_back(fifo());
  bands.bands.push_back(fifo());
  TxSchedulerOptions options = with(must(make_strict_priority(std::move(bands))));
  options.byte_limits.reset();
  const auto scheduler = must(TxScheduler::create(link, std::move(options)));
  Burst<4> burst;
  for (const auto& [number, band] : {std::pair{0, 1}, {1, 0}, {2, 1}, {3, 0}}) {
    MbufPtr one = frame(static_cast<unsigned>(number), static_cast<unsigned>(band));
    ASSERT_TRUE(burst.push(one));
  }
  EXPECT_TRUE(scheduler->enqueue(burst, {}));
  EXPECT_EQ(scheduler->run({}), Time::max());
  link.advance(seconds(1));
  EXPECT_EQ(order, (std::vector<std::uint64_t>{1, 3, 0, 2}));
  expect_accounted_for(*scheduler);
}

TEST_F(TxSchedulerTest, StopsAndWakesOnceAtEachThreshold) {
  LinkQueue link(8, kGigabit);
  TxSchedulerOptions options = with(fifo());
  options.byte_limits.reset();
  options.stop = 20;
  options.wake = 5;
  std::string calls;
  options.on_stop = [&] { calls += 's'; };
  options.on_wake = [&] { calls += 'w'; };
  const auto scheduler = must(TxScheduler::create(link, std::move(options)));
  enqueue(*scheduler, 19, {});
  EXPECT_FALSE(scheduler->is_stopped());
  enqueue(*scheduler, 1, {});
  EXPECT_TRUE(scheduler->is_stopped());
  enqueue(*scheduler, 2, {});
  EXPECT_EQ(calls, "s");
  EXPECT_EQ(scheduler->run({}), microseconds(50)) << "the ring is full";
  EXPECT_EQ(scheduler->waiting(), 14U);
  EXPECT_TRUE(scheduler->is_stopped()) << "14 are below the upper threshold, but above the lower one";
  Burst<1> none;
  EXPECT_FALSE(scheduler->enqueue(none, {}));
  link.advance(microseconds(64));  // all eight
  scheduler->run(microseconds(64));
  EXPECT_EQ(calls, "s") << "6 wait";
  link.advance(microseconds(72));
  scheduler->run(microseconds(72));
  EXPECT_EQ(calls, "sw");
  EXPECT_TRUE(scheduler->enqueue(none, {}));
  EXPECT_EQ(scheduler->stats().stops, 1U);
  expect_accounted_for(*scheduler);
}

TEST_F(TxSchedulerTest, ByteLimitsKeepTheRingShortAndTheLinkBusy) {
  for (const bool limited : {false, true}) {
    LinkQueue link(1024, kGigabit);
    Time last{};
    std::uint64_t bytes = 0;
    std::uint32_t longest = 0;
    link.on_sent = [&](Mbuf& sent, Time at) {
      bytes += sent.packet_length();
      last = at;
    };
    TxSchedulerOptions options = with(fifo(20000));
    if (!limited) options.byte_limits.reset();
    const auto scheduler = must(TxScheduler::create(link, std::move(options)));
    // The sender looks every 20 us, in which the link sends 2,500 bytes.
    for (Time now{}; now < milliseconds(100); now += microseconds(20)) {
      enqueue(*scheduler, 4, now);
      link.advance(now);
      scheduler->run(now);
      if (now > milliseconds(50)) longest = std::max(longest, link.in_flight());
    }
    EXPECT_GT(bytes, kGigabit / 10 * 98 / 100) << "of 100 ms; the limit first has to be found";
    if (limited) {
      EXPECT_LE(longest, 16U);
      EXPECT_GT(scheduler->stats().limited, 1000U);
    } else {
      EXPECT_GT(longest, 1000U);
      EXPECT_GT(scheduler->stats().ring_full, 1000U);
    }
    expect_accounted_for(*scheduler);
  }
}

TEST_F(TxSchedulerTest, CountsBytesAsCompletedOnceTheirSlotsAreFree) {
  LinkQueue link(64, kGigabit);
  const auto scheduler = must(TxScheduler::create(link, with(fifo())));
  enqueue(*scheduler, 3, {});
  scheduler->run({});
  ASSERT_EQ(scheduler->byte_limits()->outstanding(), 1000U) << "the limit begins with one frame";
  link.advance(microseconds(7));
  scheduler->run(microseconds(7));
  EXPECT_EQ(scheduler->byte_limits()->outstanding(), 1000U);
  link.advance(microseconds(8));
  scheduler->run(microseconds(8));
  EXPECT_GT(scheduler->byte_limits()->limit(), 0U) << "the ring ran empty while frames waited";
  EXPECT_GT(scheduler->stats().sent, 1U);
}

TEST_F(TxSchedulerTest, APollerRunsItInVirtualTime) {
  LinkQueue link(64, kGigabit);
  std::vector<Time> sent_at;
  link.on_sent = [&](Mbuf&, Time at) { sent_at.push_back(at); };
  clock_->follow([&](Duration now) { link.advance(now); });
  TxSchedulerOptions options = with(must(make_token_bucket({.rate = 1'000'000, .burst = 1000})));
  Poller poller(context_);
  const auto scheduler = must(TxScheduler::create(link, std::move(options)));
  ASSERT_TRUE(scheduler->attach(poller, *clock_));
  EXPECT_FALSE(scheduler->attach(poller, *clock_));
  enqueue(*scheduler, 5, clock_->now());
  const Time end = clock_->now() + milliseconds(10);
  while (clock_->now() < end) ASSERT_TRUE(poller.run_once(end));
  ASSERT_EQ(sent_at.size(), 5U);
  for (unsigned i = 1; i < 5; ++i) {
    EXPECT_NEAR(static_cast<double>((sent_at[i] - sent_at[i - 1]).count()), 1e6, 3e4) << "a frame each millisecond";
  }
  scheduler->detach();
  EXPECT_TRUE(scheduler->attach(poller, *clock_));
}

/// A flood of twice what the link can send, in 16 flows, and a flow that sends a frame each millisecond.
struct FloodResult {
  Duration sparse_delay{};  // the longest delay of a frame
  Duration flood_delay{};
};

class SchedulerFlood : public TxSchedulerTest {
 protected:
  FloodResult flood(Queue discipline, bool byte_limits) {
    LinkQueue link(512, kGigabit);
    FloodResult result;
    link.on_sent = [&](Mbuf& one, Time at) {
      Duration& longest = one.user() == 0 ? result.sparse_delay : result.flood_delay;
      longest = std::max(longest, at - Time(static_cast<Duration::rep>(one.timestamp())));
      ++on_link_;
    };
    TxSchedulerOptions options = with(std::move(discipline));
    if (!byte_limits) options.byte_limits.reset();
    const auto scheduler = must(TxScheduler::create(link, std::move(options)));
    on_link_ = 0;
    unsigned number = 0;
    for (Time now{}; now < milliseconds(200); now += microseconds(20)) {
      link.advance(now);
      Burst<8> burst;
      for (unsigned i = 0; i < 5; ++i, ++number) {
        MbufPtr one = frame(static_cast<std::uint64_t>(now.count()), 1 + number % 16, 1000);
        EXPECT_TRUE(burst.push(one));
      }
      if (now % milliseconds(1) == Duration{}) {
        MbufPtr one = frame(static_cast<std::uint64_t>(now.count()), 0, 100);
        EXPECT_TRUE(burst.push(one));
      }
      scheduler->enqueue(burst, now);
      scheduler->run(now);
    }
    expect_accounted_for(*scheduler);
    EXPECT_GT(scheduler->queue().dropped(), 20'000U) << "a flood";
    EXPECT_GT(on_link_, 24'000U) << "25,000 frames fit";
    RecordProperty("sparse_delay_us", std::to_string(result.sparse_delay / microseconds(1)));
    RecordProperty("flood_delay_us", std::to_string(result.flood_delay / microseconds(1)));
    return result;
  }
  static Queue fair() {
    FqCodelOptions options{.limit = 1000};
    options.classifier = [](std::span<Mbuf* const> frames, std::span<std::uint32_t> numbers) {
      for (std::size_t i = 0; i < frames.size(); ++i) numbers[i] = static_cast<std::uint32_t>(frames[i]->user());
    };
    return must(make_fq_codel(options));
  }

  std::uint64_t on_link_ = 0;
};

TEST_F(SchedulerFlood, FqCodelWithByteLimitsBoundsTheDelayOfASparseFlow) {
  const FloodResult result = flood(fair(), true);
  EXPECT_LT(result.sparse_delay, microseconds(200));
  EXPECT_LT(result.flood_delay, milliseconds(10)) << "1,000 frames of 8 us, and the ring";
}

TEST_F(SchedulerFlood, WithoutByteLimitsTheRingAddsItsLength) {
  const FloodResult result = flood(fair(), false);
  EXPECT_GT(result.sparse_delay, milliseconds(3)) << "512 frames of 8 us";
  EXPECT_LT(result.sparse_delay, milliseconds(5));
}

TEST_F(SchedulerFlood, AFifoDelaysAllAlike) {
  const FloodResult result = flood(fifo(), true);
  EXPECT_GT(result.sparse_delay, milliseconds(7));
  EXPECT_LT(result.flood_delay, milliseconds(10));
}

TEST_F(TxSchedulerTest, RejectsWhatMakesNoSense) {
  LinkQueue link(8, kGigabit);
  expect_rejected(TxScheduler::create(link, {}), "no queueing discipline");
  const auto changed = [&](auto change) {
    TxSchedulerOptions options = with(fifo());
    change(options);
    return TxScheduler::create(link, std::move(options));
  };
  expect_rejected(changed([](auto& options) { options.stop = options.wake = 5; }), "wakes at 5");
  expect_rejected(changed([](auto& options) { options.wake = 5; }), "stops at 0");
  expect_rejected(changed([](auto& options) { options.ring_interval = Duration(999); }), "999 ns");
  expect_rejected(changed([](auto& options) { options.ring_interval = seconds(2); }), "full ring");
  expect_rejected(changed([](auto& options) { options.byte_limits->min_limit = (1U << 30U) + 1; }), "limits");
  expect_rejected(changed([](auto& options) { options.byte_limits->max_limit = (1U << 30U) + 1; }), "2^30");
  expect_rejected(changed([](auto& options) { options.byte_limits->hold_time = Duration{}; }), "hold time");
}

}  // namespace
}  // namespace pollux::test
