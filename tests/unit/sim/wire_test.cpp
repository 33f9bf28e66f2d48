// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <numeric>
#include <set>

#include "backends/sim/wire.hpp"
#include "unit/sim/probe_card.hpp"

namespace pollux::sim {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kMany = 10000;

std::vector<unsigned> counting(unsigned count) {
  std::vector<unsigned> numbers(count);
  for (unsigned i = 0; i < count; ++i) numbers[i] = i;
  return numbers;
}

TEST(SimWireOptions, HaveRanges) {
  EXPECT_TRUE(check({}));
  EXPECT_TRUE(check({.rate = 1000, .delay = 10s, .loss = 1, .corrupt = 1, .reorder = 1}));
  for (const WireOptions& bad :
       {WireOptions{.rate = 999}, WireOptions{.delay = 11s}, WireOptions{.delay = -1ns}, WireOptions{.jitter = 11s},
        WireOptions{.jitter = -1ns}, WireOptions{.loss = 1.01}, WireOptions{.corrupt = -0.1}, WireOptions{.mangle = 2},
        WireOptions{.duplicate = -1}, WireOptions{.reorder = std::numeric_limits<double>::quiet_NaN()}}) {
    const auto refused = check(bad);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(refused.error().hint.empty());
  }
}

TEST(SimWireWith, NoOptionsDeliversAtOnce) {
  ProbePair pair({});
  ASSERT_TRUE(pair.claimed);
  for (unsigned i = 0; i < 10; ++i) pair.send(i);
  EXPECT_EQ(pair.numbers(), counting(10));
  EXPECT_EQ(pair.wire->counters(0).carried, 10u);
  EXPECT_TRUE(pair.conserved());
}

TEST(SimWireWith, JitterIsUniformAndRepeatable) {
  const auto delays = [](std::uint64_t seed) {
    ProbePair pair({.delay = 5us, .jitter = 10us, .seed = seed});
    std::vector<Duration> all;
    for (unsigned i = 0; i < 2000; ++i) {
      const Time sent = pair.clock.now();
      pair.send(i);
      pair.clock.advance(20us);
      all.push_back(pair.right->arrivals_.at(i).at - sent);
    }
    return all;
  };
  const auto seen = delays(1);
  const auto [lowest, highest] = std::minmax_element(seen.begin(), seen.end());
  EXPECT_GE(*lowest, 5us);
  EXPECT_LT(*lowest, 5'100ns);
  EXPECT_LE(*highest, 15us);
  EXPECT_GT(*highest, 14'900ns);
  EXPECT_NEAR(std::chrono::duration<double>(std::accumulate(seen.begin(), seen.end(), Duration(0))).count() / 2000,
              10e-6, 0.3e-6);
  EXPECT_EQ(delays(1), seen);
  EXPECT_NE(delays(2), seen);
}

TEST(SimWireWith, DelayIsExactToTheNanosecond) {
  ProbePair pair({.delay = 25'001ns});
  pair.clock.advance(1us);
  pair.send(0);
  pair.clock.advance(10us);
  pair.send(1);
  EXPECT_TRUE(pair.right->arrivals_.empty());
  EXPECT_EQ(pair.wire->counters(0).in_flight, 2u);
  pair.clock.advance(1ms);
  ASSERT_EQ(pair.right->arrivals_.size(), 2u);
  EXPECT_EQ(pair.right->arrivals_[0].at, 26'001ns);
  EXPECT_EQ(pair.right->arrivals_[1].at, 36'001ns);
  EXPECT_TRUE(pair.conserved());
}

TEST(SimWireWith, RateSpacesFramesLikeABusyLink) {
  ProbePair pair({.rate = 1'000'000'000});
  for (unsigned i = 0; i < 3; ++i) pair.send(i, i == 1 ? 1514 : 60);
  pair.clock.advance(1ms);
  ASSERT_EQ(pair.right->arrivals_.size(), 3u);
  EXPECT_EQ(pair.right->arrivals_[0].at, 672ns) << "84 bytes with FCS, preamble and gap";
  EXPECT_EQ(pair.right->arrivals_[1].at, 672ns + 12'304ns);
  EXPECT_EQ(pair.right->arrivals_[2].at, 2 * 672ns + 12'304ns);
}

// A frame of 60 bytes takes 6.72 ns at 100 Gb/s.
TEST(SimWireWith, RateIsExactHoweverShortTheFrames) {
  Channel channel({.rate = 100'000'000'000}, 0);
  WireCounters counters;
  const std::array<std::byte, 60> frame{};
  for (unsigned i = 0; i < 1000; ++i) channel.put(frame, 1s, counters);
  EXPECT_EQ(channel.next(), 1s + 6ns);
  std::size_t arrived = 0;
  while (channel.take(1s + 6719ns, counters)) ++arrived;
  EXPECT_EQ(arrived, 999U);
  EXPECT_TRUE(channel.take(1s + 6720ns, counters));
}

TEST(SimWireWith, RateResumesTheCardAfterOneFrameHoweverLongTheLastOneIs) {
  Channel channel({.rate = 1'000'000}, 0);
  WireCounters counters;
  const std::array<std::byte, 1476> frame{};  // 12 ms on the wire
  for (std::size_t i = 1; i < Channel::kBacklog; ++i) channel.put(frame, 1s, counters);
  EXPECT_FALSE(channel.congested(1s));
  channel.put(std::span(frame).first(60), 1s, counters);
  EXPECT_TRUE(channel.congested(1s));
  EXPECT_EQ(channel.free_at(), 1s + 12ms);
  EXPECT_FALSE(channel.congested(1s + 12ms));
}

TEST(SimWireWith, RatePausesAndResumesTheCard) {
  ProbePair pair({.rate = 1'000'000});
  unsigned sent = 0;
  while (!pair.left->busy_ && sent < kMany) pair.send(sent++);
  EXPECT_LT(sent, 2 * Channel::kBacklog);
  EXPECT_GE(sent, Channel::kBacklog);
  pair.clock.advance(1s);
  EXPECT_FALSE(pair.left->busy_);
  EXPECT_EQ(pair.left->times_paused_, 1);
  EXPECT_EQ(pair.numbers(), counting(sent));
}

TEST(SimWireWith, ALongDelayPausesTheCardBeforeFramesAreLost) {
  ProbePair pair({.delay = 1s});
  unsigned sent = 0;
  while (!pair.left->busy_ && sent <= Channel::kCapacity) pair.send(sent++);
  EXPECT_TRUE(pair.left->busy_);
  EXPECT_EQ(pair.wire->counters(0).dropped_overflow, 0u);
  for (int i = 0; i < 10; ++i) pair.send(0);  // a card that ignores the pause
  EXPECT_GT(pair.wire->counters(0).dropped_overflow, 0u);
  EXPECT_TRUE(pair.conserved());
  pair.clock.advance(1s + 10us);
  EXPECT_FALSE(pair.left->busy_);
  EXPECT_EQ(pair.wire->counters(0).in_flight, 0u);
  EXPECT_TRUE(pair.conserved());
}

TEST(SimWireWith, LossDropsAndCountsTheGivenShare) {
  ProbePair pair({.loss = 0.1});
  for (unsigned i = 0; i < kMany; ++i) pair.send(i);
  const WireCounters counters = pair.wire->counters(0);
  EXPECT_NEAR(static_cast<double>(counters.lost), kMany * 0.1, kMany * 0.02);
  EXPECT_EQ(pair.right->arrivals_.size(), kMany - counters.lost);
  EXPECT_TRUE(pair.conserved());
  const auto numbers = pair.numbers();
  EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
}

TEST(SimWireWith, LossOfOneDropsEveryFrame) {
  ProbePair pair({.loss = 1});
  for (unsigned i = 0; i < 100; ++i) pair.send(i);
  EXPECT_TRUE(pair.right->arrivals_.empty());
  EXPECT_EQ(pair.wire->counters(0).lost, 100u);
}

TEST(SimWireWith, CorruptionChangesOneByteAndIsDetected) {
  ProbePair pair({.corrupt = 0.5});
  for (unsigned i = 0; i < 1000; ++i) pair.send(7);
  std::uint64_t seen = 0;
  for (const ProbeCard::Arrival& arrival : pair.right->arrivals_) {
    const auto sent = ProbePair::frame(7);
    const auto differing = std::inner_product(sent.begin(), sent.end(), arrival.bytes.begin(), 0, std::plus<>(),
                                              [](std::byte a, std::byte b) { return a == b ? 0 : 1; });
    EXPECT_EQ(differing, arrival.corrupt ? 1 : 0);
    seen += arrival.corrupt ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(seen), 500, 100);
  EXPECT_EQ(pair.wire->counters(0).corrupted, seen);
  EXPECT_EQ(pair.wire->counters(0).carried, 1000u);
}

TEST(SimWireWith, MangledFramesLookIntactAndKeepTheirAddresses) {
  ProbePair pair({.mangle = 1});
  for (unsigned i = 0; i < 1000; ++i) pair.send(i);
  for (const ProbeCard::Arrival& arrival : pair.right->arrivals_) {
    EXPECT_FALSE(arrival.corrupt);
    EXPECT_TRUE(std::any_of(arrival.bytes.begin() + 12, arrival.bytes.end(),
                            [](std::byte byte) { return byte != std::byte{0x5A}; }));
  }
  EXPECT_EQ(pair.numbers(), counting(1000));
  EXPECT_EQ(pair.wire->counters(0).mangled, 1000u);
}

TEST(SimWireWith, DuplicationDeliversTwice) {
  ProbePair pair({.duplicate = 0.25});
  for (unsigned i = 0; i < kMany; ++i) pair.send(i);
  const WireCounters counters = pair.wire->counters(0);
  EXPECT_NEAR(static_cast<double>(counters.duplicated), kMany * 0.25, kMany * 0.03);
  const auto numbers = pair.numbers();
  EXPECT_EQ(numbers.size(), kMany + counters.duplicated);
  EXPECT_EQ(std::set<unsigned>(numbers.begin(), numbers.end()).size(), kMany);
  EXPECT_TRUE(pair.conserved());
}

TEST(SimWireWith, ReorderingLetsThreeFramesOvertakeAndLosesNone) {
  ProbePair pair({.reorder = 0.05});
  for (unsigned i = 0; i < kMany; ++i) pair.send(i);
  pair.clock.advance(WireOptions::kHoldTime + 20us);
  auto numbers = pair.numbers();
  EXPECT_EQ(numbers.size(), kMany);
  std::size_t late = 0;
  unsigned highest = 0;
  for (const unsigned number : numbers) {
    late += number < highest ? 1 : 0;
    highest = std::max(highest, number);
  }
  EXPECT_NEAR(static_cast<double>(late), kMany * 0.05, kMany * 0.02);
  EXPECT_EQ(pair.wire->counters(0).in_flight, 0u);
  std::sort(numbers.begin(), numbers.end());
  EXPECT_EQ(numbers, counting(kMany));
}

TEST(SimWireWith, ReorderingReleasesALastFrameAfterTheHoldTime) {
  ProbePair pair({.reorder = 1});
  pair.send(0);
  EXPECT_TRUE(pair.right->arrivals_.empty());
  EXPECT_EQ(pair.wire->counters(0).in_flight, 1u);
  pair.clock.advance(WireOptions::kHoldTime);
  EXPECT_EQ(pair.numbers(), counting(1));
}

TEST(SimWireWith, TheSameSeedRepeatsTheSameEvents) {
  const WireOptions all{.rate = 10'000'000'000,
                        .delay = 7us,
                        .loss = 0.1,
                        .corrupt = 0.1,
                        .mangle = 0.1,
                        .duplicate = 0.1,
                        .reorder = 0.1,
                        .seed = 42};
  const auto run = [](const WireOptions& options) {
    ProbePair pair(options);
    for (unsigned i = 0; i < 2000; ++i) {
      pair.send(i, 60 + i % 1000);
      if (i % 7 == 0) pair.clock.advance(3us);
    }
    pair.clock.advance(10ms);
    EXPECT_TRUE(pair.conserved());
    EXPECT_EQ(pair.wire->counters(0).in_flight, 0u);
    return pair.right->arrivals_;
  };
  const auto first = run(all);
  EXPECT_EQ(run(all), first);
  WireOptions other = all;
  other.seed = 43;
  EXPECT_NE(run(other), first);
}

TEST(SimWireWith, OneProbabilityDoesNotAffectAnother) {
  const auto lost = [](const WireOptions& options) {
    ProbePair pair(options);
    for (unsigned i = 0; i < 1000; ++i) pair.send(i);
    const auto numbers = pair.numbers();
    return std::set<unsigned>(numbers.begin(), numbers.end());
  };
  EXPECT_EQ(lost({.loss = 0.2}), lost({.loss = 0.2, .duplicate = 0.3}));
}

TEST(SimWireWith, DirectionsHaveTheirOwnRandomSequences) {
  ProbePair pair({.loss = 0.5});
  for (unsigned i = 0; i < 64; ++i) {
    pair.send(i);
    pair.wire->with_card(1, [&](DeviceModel&) { pair.right->send(ProbePair::frame(i)); });
  }
  std::vector<unsigned> other;
  for (const ProbeCard::Arrival& arrival : pair.left->arrivals_) {
    other.push_back(std::to_integer<unsigned>(arrival.bytes[1]));
  }
  EXPECT_NE(other, pair.numbers());
}

TEST(SimWireWith, FramesForAnUnopenedCardAreCounted) {
  ProbePair pair({.delay = 1us});
  pair.wire->release(1);
  pair.send(0);
  pair.clock.advance(10us);
  EXPECT_EQ(pair.wire->counters(0).dropped_unopened, 1u);
  EXPECT_TRUE(pair.conserved());
}

/// A clock that the test advances. Unlike ManualClock it does not notify the wire.
class SilentClock final : public Clock {
 public:
  [[nodiscard]] Duration now() const override { return now_; }
  void sleep_for(Duration span) override { now_ += span; }

 private:
  Duration now_{0};
};

TEST(SimWireFlush, ProcessesDueEventsWithoutRegisterAccess) {
  SilentClock clock;
  auto card = std::make_unique<ProbeCard>();
  ProbeCard& left = *card;
  std::size_t arrived = 0;
  const auto wire =
      Wire::create(clock, std::move(card), [&](std::span<const std::byte>) { ++arrived; }, {.delay = 5us});
  wire->with_card(0, [&](DeviceModel&) { left.send(ProbePair::frame(0)); });
  clock.sleep_for(4us);
  wire->flush();
  EXPECT_EQ(arrived, 0u);
  clock.sleep_for(1us);
  wire->flush();
  EXPECT_EQ(arrived, 1u);
}

}  // namespace
}  // namespace pollux::sim
