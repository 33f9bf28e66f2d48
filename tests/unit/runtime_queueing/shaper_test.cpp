// SPDX-License-Identifier: BSD-3-Clause
// Token buckets: their rates, to the byte, and what becomes of an urgent frame that comes while another one waits.
#include <algorithm>
#include <cmath>

#include "queueing_fixture.hpp"

namespace pollux::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using Numbers = std::vector<std::uint64_t>;

constexpr std::uint64_t kMaxRate = std::uint64_t{1} << 40U;
constexpr std::uint32_t kMaxBurst = 0xFFFFFFFF;

class Shaper : public QueueingFixture {
 protected:
  static Queue bucket(TokenBucketOptions options) { return must(make_token_bucket(std::move(options))); }
  /// A token bucket over two bands: an urgent one and one for the rest.
  static Queue shaped_bands(std::uint64_t rate, std::uint32_t burst, Queue urgent = fifo()) {
    StrictPriorityOptions options;
    options.bands.push_back(std::move(urgent));
    options.bands.push_back(fifo());
    return bucket({.rate = rate, .burst = burst, .queue = must(make_strict_priority(std::move(options)))});
  }
  /// Puts everything into class 0, whose frames keep their bands.
  static Queue class_of(Queue inner, std::uint32_t quantum = 1514) {
    DrrOptions options;
    options.classes.push_back({quantum, std::move(inner)});
    options.classifier = [](std::span<Mbuf* const>, std::span<std::uint32_t> numbers) {
      std::ranges::fill(numbers, 0U);
    };
    return must(make_deficit_round_robin(std::move(options)));
  }
};

// The longest frame that a bucket may hold costs 2^32 bytes and the overhead.
TEST_F(Shaper, EveryRateSendsWithTheLargestBurst) {
  for (const std::uint64_t rate :
       {std::uint64_t{71'582'789}, std::uint64_t{125'000'001}, std::uint64_t{999'999'999}, std::uint64_t{1'000'000'000},
        std::uint64_t{2'000'000'001}, kMaxRate - 1, kMaxRate}) {
    for (const int extra : {0, 24, 65535}) {
      const auto overhead = static_cast<std::uint16_t>(extra);
      const Queue queue = bucket({.rate = rate, .burst = kMaxBurst, .overhead = overhead});
      for (unsigned i = 0; i < 64; ++i) put(*queue, frame(i, 0, 1500), seconds(1));
      EXPECT_EQ(get_burst(*queue, seconds(1)).size(), 64U) << rate << ' ' << overhead;
    }
  }
}

// The overhead of many short frames is more than what the frames have.
TEST_F(Shaper, TheOverheadCountsForEachFrameOfABurst) {
  for (const std::uint64_t peak : {0U, 2'000'000U}) {
    const Queue queue = bucket(
        {.rate = 1'000'000, .burst = 11'000, .peak_rate = peak, .mtu = peak == 0 ? 0U : 11'000U, .overhead = 1000});
    for (unsigned i = 0; i < 64; ++i) put(*queue, frame(i, 0, 100), seconds(1));
    EXPECT_EQ(get_burst(*queue, seconds(1)).size(), 10U);
    EXPECT_EQ(get(*queue, 64, seconds(1) + milliseconds(11)).size(), 10U);
  }
}

TEST_F(Shaper, AFullBucketIsWorthItsBurstAndRefillsInTime) {
  for (const std::uint64_t rate : {std::uint64_t{1'000'000'000}, std::uint64_t{3'000'000'007}, kMaxRate}) {
    const Queue queue = bucket({.rate = rate, .burst = 150'000});
    for (unsigned i = 0; i < 300; ++i) put(*queue, frame(i, 0, 1500), seconds(1));
    EXPECT_EQ(get(*queue, 300, seconds(1)).size(), 100U) << rate;
    EXPECT_EQ(get(*queue, 300, hours(24 * 365 * 100)).size(), 100U) << "full again after a hundred years";
    const auto fill = static_cast<std::int64_t>(std::ceil(1500e9 / static_cast<double>(rate)));
    EXPECT_EQ(queue->next_time(hours(24 * 365 * 100)), hours(24 * 365 * 100) + nanoseconds(fill));
  }
}

TEST_F(Shaper, AByteASecondIsARate) {
  const Queue queue = bucket({.rate = 1, .burst = 60});
  for (unsigned i = 0; i < 3; ++i) put(*queue, frame(i, 0, 60), seconds(1));
  EXPECT_EQ(get(*queue, 3, seconds(1)), Numbers{0});
  EXPECT_EQ(queue->next_time(seconds(1)), seconds(61));
  EXPECT_EQ(get(*queue, 3, seconds(61) - nanoseconds(1)), Numbers{});
  EXPECT_EQ(get(*queue, 3, seconds(61)), Numbers{1});
}

/// Bytes that leave while the sender is always back in time.
std::uint64_t sent_in(QueueDiscipline& queue, Time from, Duration span, const std::function<void(Time)>& refill) {
  std::uint64_t bytes = 0;
  Burst<64> burst;
  for (Time now = from; now <= from + span; now = std::max(now, queue.next_time(now))) {
    refill(now);
    queue.dequeue(burst, now);
    for (const Mbuf& one : burst) bytes += one.packet_length();
    burst = {};
  }
  return bytes;
}

// A frame of 64 bytes takes 5.12 ns at 100 Gb/s: rounded to nanoseconds it would be 2 % too fast, one of 60 bytes 20 %.
TEST_F(Shaper, TheRateIsExactHoweverShortTheFrames) {
  for (const std::uint64_t rate :
       {12'500'000'000ULL, 1'250'000'000ULL, 125'000'000ULL, 999'999'937ULL, 7ULL * 11 * 13}) {
    for (const std::uint32_t length : {60U, 61U, 64U, 1514U}) {
      const Queue queue = bucket({.rate = rate, .burst = 3028});
      const auto refill = [&](Time now) {
        while (queue->backlog().frames < 64) put(*queue, frame(0, 0, length), now);
      };
      // About two thousand frames.
      const Duration span(static_cast<std::int64_t>(2000e9 * length / static_cast<double>(rate)));
      const auto bytes = static_cast<double>(sent_in(*queue, seconds(1), span, refill));
      const double allowed = 3028 + static_cast<double>(rate) * static_cast<double>(span.count()) / 1e9;
      EXPECT_LE(bytes, allowed + 0.001) << rate << ' ' << length;
      EXPECT_GT(bytes, allowed - length - static_cast<double>(rate) / 1e9 * 2) << rate << ' ' << length;
    }
  }
}

TEST_F(Shaper, AnUrgentFrameThatHasTokensGoesAtOnce) {
  for (const bool in_class : {false, true}) {
    Queue queue = shaped_bands(1000, 2000);
    if (in_class) queue = class_of(std::move(queue));
    for (unsigned i = 0; i < 2; ++i) put(*queue, frame(i, 1, 1500), seconds(1));
    EXPECT_EQ(get(*queue, 2, seconds(1)), Numbers{0});
    EXPECT_EQ(queue->next_time(seconds(1)), seconds(2)) << "500 of 1,500 tokens are there";
    const Time soon = seconds(1) + milliseconds(100);
    put(*queue, frame(9, 0, 100), soon);
    EXPECT_EQ(queue->next_time(soon), soon);
    EXPECT_EQ(get(*queue, 2, soon), Numbers{9});
    EXPECT_EQ(queue->next_time(soon), soon + seconds(1)) << "500 tokens again";
    EXPECT_EQ(get(*queue, 2, seconds(60)), Numbers{1});
    expect_all_accounted_for(*queue);
  }
}

// The new frame needs more tokens than there are, but fewer than the one that waits.
TEST_F(Shaper, AnUrgentFrameThatLacksTokensGoesWhenItHasThem) {
  const Queue queue = class_of(shaped_bands(1000, 2000));
  for (unsigned i = 0; i < 2; ++i) put(*queue, frame(i, 1, 1500), seconds(1));
  EXPECT_EQ(get(*queue, 2, seconds(1)), Numbers{0});
  put(*queue, frame(9, 0, 700), seconds(1));
  EXPECT_EQ(get(*queue, 2, seconds(1)), Numbers{});
  EXPECT_EQ(queue->next_time(seconds(1)), seconds(1) + milliseconds(200));
  EXPECT_EQ(get(*queue, 2, seconds(1) + milliseconds(200)), Numbers{9});
}

// No frame comes, but time passes: a shaper in the urgent band lets its frame go.
TEST_F(Shaper, AnUrgentFrameThatAnInnerShaperLetsGoOvertakes) {
  const Queue queue = class_of(shaped_bands(1000, 2000, bucket({.rate = 1000, .burst = 100})));
  put(*queue, frame(8, 0, 100), seconds(1));
  put(*queue, frame(9, 0, 100), seconds(1));
  for (unsigned i = 0; i < 2; ++i) put(*queue, frame(i, 1, 1500), seconds(1));
  EXPECT_EQ(get(*queue, 4, seconds(1)), (Numbers{8, 0}));
  const Time soon = seconds(1) + milliseconds(100);
  EXPECT_EQ(queue->next_time(seconds(1)), soon) << "the urgent one goes before frame 1, which lacks tokens until 2.1 s";
  EXPECT_EQ(get(*queue, 4, soon), Numbers{9});
  EXPECT_EQ(queue->next_time(soon), soon + milliseconds(1100));
}

// The class has saved up for a long frame, turn by turn; a short one that comes meanwhile needs no more turns.
TEST_F(Shaper, ADeficitForALongFrameIsEnoughForAShortUrgentOne) {
  StrictPriorityOptions bands;
  bands.bands.push_back(fifo());
  bands.bands.push_back(fifo());
  DrrOptions options;
  options.classes.push_back({100, must(make_strict_priority(std::move(bands)))});
  options.classes.push_back({100, fifo()});
  options.classifier = [](std::span<Mbuf* const> frames, std::span<std::uint32_t> numbers) {
    for (std::size_t i = 0; i < frames.size(); ++i) numbers[i] = frames[i]->user() < 2 ? 0 : 1;
  };
  const Queue queue = must(make_deficit_round_robin(std::move(options)));
  put(*queue, frame(0, 1, 1500));
  for (unsigned i = 10; i < 40; ++i) put(*queue, frame(i, 2));
  EXPECT_EQ(get(*queue, 3), (Numbers{10, 11, 12})) << "class 0 saves up";
  put(*queue, frame(9, 0, 100));
  const Numbers next = get(*queue, 2);
  EXPECT_NE(std::ranges::find(next, 9U), next.end()) << "not after all turns that the long one needs";
}

}  // namespace
}  // namespace pollux::test
