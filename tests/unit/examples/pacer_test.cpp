// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/pacer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <vector>

namespace pollux::tools {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

/// Frames of lengths and times, without content.
class Frames final : public FrameSource {
 public:
  explicit Frames(std::vector<std::uint32_t> lengths, std::vector<Duration> times = {})
      : lengths_(std::move(lengths)), times_(std::move(times)) {}
  [[nodiscard]] std::uint32_t next_length() const noexcept override { return lengths_[next_ % lengths_.size()]; }
  [[nodiscard]] std::optional<Duration> next_at() const noexcept override {
    if (times_.empty()) return std::nullopt;
    return next_ < times_.size() ? times_[next_] : Duration(std::chrono::hours(1));
  }
  [[nodiscard]] bool build(Mbuf& /*mbuf*/, MempoolCache& /*cache*/) noexcept override { return true; }
  void advance() { ++next_; }

 private:
  std::vector<std::uint32_t> lengths_;
  std::vector<Duration> times_;
  std::size_t next_ = 0;
};

/// Sends all frames that are due at `now`, at most `limit`; returns their number.
std::uint64_t send_due(Pacer& pacer, Frames& frames, Time now, std::uint64_t limit = UINT64_MAX) {
  std::uint64_t sent = 0;
  for (; sent < limit && pacer.due(now, frames); ++sent) {
    pacer.sent(frames.next_length());
    frames.advance();
  }
  return sent;
}

/// When each frame left, from the first one, on a clock that moves by a nanosecond.
std::vector<long> departures(Pacer& pacer, Frames& frames, std::size_t count) {
  constexpr Time kStart = seconds(5);
  std::vector<long> times;
  for (Time now = kStart; times.size() < count; now += nanoseconds(1)) {
    for (std::uint64_t sent = send_due(pacer, frames, now); sent > 0; --sent) times.push_back((now - kStart).count());
  }
  return times;
}

Pace frames_per_second(std::uint64_t rate) { return {.unit = Pace::Unit::frames, .rate = rate}; }

TEST(Pacer, IsUnlimitedWithoutARate) {
  EXPECT_TRUE(Pacer({}).unlimited());
  EXPECT_FALSE(Pacer(frames_per_second(1)).unlimited());
}

TEST(Pacer, SendsEachFrameAtItsSlot) {
  Pacer pacer(frames_per_second(3'000'000));
  Frames frames({60});
  EXPECT_THAT(departures(pacer, frames, 7), testing::ElementsAre(0, 333, 666, 1000, 1333, 1666, 2000));
  EXPECT_EQ(pacer.longest_delay(), Duration(0)) << "slots begin between two nanoseconds, and are due at the lower one";
}

TEST(Pacer, CountsTheWholeSlotOfAFrameAgainstARateInBits) {
  // 64 and 1,518 bytes with FCS, and 20 of preamble and gap: 672 and 12,304 ns at 1 Gb/s.
  Pacer pacer({.unit = Pace::Unit::bits, .rate = 1'000'000'000});
  Frames frames({60, 1514});
  EXPECT_THAT(departures(pacer, frames, 5), testing::ElementsAre(0, 672, 12976, 13648, 25952));
}

TEST(Pacer, CountsThePaddingOfAShortFrameAgainstARateInBits) {
  Pacer pacer({.unit = Pace::Unit::bits, .rate = 1'000'000'000});
  Frames frames({42, 59});
  EXPECT_THAT(departures(pacer, frames, 4), testing::ElementsAre(0, 672, 1344, 2016)) << "both have 64 bytes then";
}

TEST(Pacer, AccumulatesNoError) {
  Pacer pacer(frames_per_second(1'488'095));
  Frames frames({60});
  std::uint64_t sent = 0;
  for (Time now = seconds(1); now <= seconds(11); now += nanoseconds(9973)) sent += send_due(pacer, frames, now);
  sent += send_due(pacer, frames, seconds(11));
  EXPECT_EQ(sent, 10 * 1'488'095U + 1);
}

TEST(Pacer, SharesARateBetweenQueues) {
  Frames frames({60});
  Pace pace = frames_per_second(1'000'000);
  pace.queues = 4;
  Pacer first(pace);
  pace.queue = 3;
  Pacer last(pace);
  EXPECT_THAT(departures(first, frames, 3), testing::ElementsAre(0, 4000, 8000));
  EXPECT_THAT(departures(last, frames, 3), testing::ElementsAre(3000, 7000, 11000));
}

TEST(Pacer, CatchesUpAfterAShortDelay) {
  Pacer pacer(frames_per_second(1'000'000));
  Frames frames({60});
  EXPECT_EQ(send_due(pacer, frames, seconds(1)), 1U);
  EXPECT_EQ(send_due(pacer, frames, seconds(1) + microseconds(500)), 500U);
  EXPECT_EQ(pacer.longest_delay(), microseconds(499));
  EXPECT_EQ(pacer.slipped(), Duration(0));
}

TEST(Pacer, PutsTheSlotsOffAfterALongDelay) {
  Pacer pacer(frames_per_second(1'000'000));
  Frames frames({60});
  EXPECT_EQ(send_due(pacer, frames, seconds(1)), 1U);
  EXPECT_EQ(send_due(pacer, frames, seconds(1) + milliseconds(5) + microseconds(1)), 1001U);
  EXPECT_EQ(pacer.longest_delay(), milliseconds(5));
  EXPECT_EQ(pacer.slipped(), milliseconds(4));
  EXPECT_EQ(send_due(pacer, frames, seconds(1) + milliseconds(5) + microseconds(3)), 2U) << "the rate is the same";
}

TEST(Pacer, KeepsRecordedTimes) {
  Frames frames({60}, {microseconds(0), microseconds(7), microseconds(7), microseconds(40)});
  Pacer pacer({.unit = Pace::Unit::recorded});
  EXPECT_THAT(departures(pacer, frames, 4), testing::ElementsAre(0, 7000, 7000, 40000));
}

TEST(Pacer, MultipliesTheSpeedOfARecording) {
  Frames frames({60}, {microseconds(0), microseconds(7), microseconds(40)});
  Pacer twice({.unit = Pace::Unit::recorded, .speed = 2});
  EXPECT_THAT(departures(twice, frames, 3), testing::ElementsAre(0, 3500, 20000));
}

TEST(Pacer, WaitsForAFrameThatIsDueLaterThanAnyClockShows) {
  for (const Duration at : {Duration(hours(24 * 365)), Duration::max()}) {
    Frames frames({60}, {Duration(0), at});
    Pacer slow({.unit = Pace::Unit::recorded, .speed = 1e-6});
    EXPECT_EQ(send_due(slow, frames, seconds(1), 1), 1U);
    for (const Time now : {Time(seconds(2)), Time(hours(24 * 365 * 100))})
      EXPECT_EQ(send_due(slow, frames, now, 1), 0U);
  }
  Frames frames({60}, {Duration(0), Duration::max()});
  Pacer fast({.unit = Pace::Unit::recorded, .speed = 1e6});
  EXPECT_EQ(send_due(fast, frames, seconds(1), 1), 1U);
  EXPECT_EQ(send_due(fast, frames, hours(24 * 365 * 100), 1), 0U)
      << "the longest time stands for one that is even longer";
}

TEST(Pacer, PutsARecordingOffAfterALongDelay) {
  Frames frames({60}, {milliseconds(0), milliseconds(1), milliseconds(8), milliseconds(9)});
  Pacer pacer({.unit = Pace::Unit::recorded});
  EXPECT_EQ(send_due(pacer, frames, seconds(1)), 1U);
  EXPECT_EQ(send_due(pacer, frames, seconds(1) + milliseconds(7)), 1U) << "the frame of 1 ms";
  EXPECT_EQ(pacer.slipped(), milliseconds(5));
  EXPECT_EQ(send_due(pacer, frames, seconds(1) + milliseconds(12)), 0U);
  EXPECT_EQ(send_due(pacer, frames, seconds(1) + milliseconds(13)), 1U);
}

}  // namespace
}  // namespace pollux::tools
