// SPDX-License-Identifier: BSD-3-Clause
// The moderation of the interrupts that wake threads which sleep on receive queues.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include "pollux/net/interrupts.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/sleep_fixture.hpp"

namespace pollux::drivers::igb {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

class Moderation : public SleepOnACard {
 protected:
  Interrupts& interrupts() { return *port->capability<Interrupts>(); }
  [[nodiscard]] std::uint32_t interval(std::uint32_t vector) {
    return fixture->value<reg::EITR>(vector).get(reg::EITR::INTERVAL);
  }
};

TEST_F(Moderation, ASecondMessageWaitsForTheInterval) {
  start(1);
  ASSERT_TRUE(port->change([&](Settings& settings) { settings.moderation[0] = {.interval = microseconds(100)}; }));
  EXPECT_EQ(interval(1), 100U);
  ASSERT_TRUE(rx(0).arm());
  inject_to(0);
  EXPECT_TRUE(has_event(rx(0))) << "the first frame after a pause is not delayed";
  EXPECT_EQ(poll(0), 1U);
  ASSERT_TRUE(rx(0).arm());
  inject_to(0);
  fixture->clock->advance(microseconds(90));
  EXPECT_FALSE(has_event(rx(0)));
  fixture->clock->advance(microseconds(20));
  EXPECT_TRUE(has_event(rx(0)));
}

TEST_F(Moderation, AdaptsToTheFramesBetweenTwoSleeps) {
  start(1);
  ASSERT_TRUE(port->change(
      [&](Settings& settings) { settings.moderation[0] = {.interval = microseconds(400), .adaptive = true}; }));
  EXPECT_EQ(interval(1), 0U);
  for (const auto& [frames, expected] : {std::pair{4U, 0U}, {5U, 100U}, {31U, 100U}, {32U, 400U}, {1U, 0U}}) {
    for (unsigned i = 0; i < frames; ++i) {
      inject_to(0);
      EXPECT_EQ(poll(0), 1U);
    }
    ASSERT_TRUE(rx(0).arm());
    EXPECT_EQ(interval(1), expected) << frames << " frames";
    rx(0).disarm();
  }
}

TEST_F(Moderation, StaysInForceAndCountsForAllQueuesOfAVector) {
  start(2, 2);
  ASSERT_TRUE(port->change([&](Settings& settings) { settings.moderation[1] = {.interval = microseconds(7)}; }));
  ASSERT_TRUE(port->stop());
  ASSERT_TRUE(port->start());
  EXPECT_EQ(interval(1), 7U);
  ASSERT_TRUE(port->change([](Settings& settings) { settings.moderation[0] = {}; }));
  EXPECT_EQ(interval(1), 0U);
}

// A reset of the card keeps its intervals (I-M-RESET).
TEST_F(Moderation, ThatAnAdaptiveQueueReachedDoesNotOutliveARestart) {
  start(1);
  ASSERT_TRUE(port->change(
      [&](Settings& settings) { settings.moderation[0] = {.interval = microseconds(400), .adaptive = true}; }));
  for (unsigned i = 0; i < 32; ++i) {
    inject_to(0);
    EXPECT_EQ(poll(0), 1U);
  }
  ASSERT_TRUE(rx(0).arm());
  ASSERT_EQ(interval(1), 400U);
  ASSERT_TRUE(port->stop());
  ASSERT_TRUE(port->start());
  EXPECT_EQ(interval(1), 0U);
}

TEST_F(Moderation, OfAnEarlierOwnerIsNotTakenOver) {
  start(1);
  EXPECT_EQ(fixture->value<reg::EITR>(5).get(reg::EITR::INTERVAL), 0x1FFFU) << "a vector that the port does not use";
  EXPECT_EQ(interval(0), 0U);
  EXPECT_EQ(interval(1), 0U);
}

TEST_F(Moderation, ReportsTheVectorOfEachQueue) {
  start(4, 4);
  EXPECT_EQ(interrupts().rx_vectors().value(), (std::vector<unsigned>{1, 2, 3, 1}));
  port.reset();
  fixture.emplace();
  open();
  const auto none = interrupts().rx_vectors();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::bad_state);
}

TEST_F(Moderation, OfOneQueueDoesNotReachTheNextConfiguration) {
  start(1, 4);
  ASSERT_TRUE(port->stop());
  Settings config = fixture->config();
  config.rx.resize(2, config.rx[0]);
  ASSERT_TRUE(test::configure_port(*port, config));
  EXPECT_EQ(interrupts().rx_vectors().error().code, ErrorCode::bad_state) << "those of an earlier configuration";
  ASSERT_TRUE(port->change([&](Settings& settings) { settings.moderation[1] = {.interval = microseconds(100)}; }));
  ASSERT_TRUE(port->start());
  EXPECT_EQ(interrupts().rx_vectors().value(), (std::vector<unsigned>{1, 2}));
  EXPECT_EQ(interval(1), 0U);
  EXPECT_EQ(interval(2), 100U);
}

TEST_F(Moderation, RejectsWhatTheCardCannotDoAndChangesNothing) {
  start(1);
  ASSERT_TRUE(port->change([&](Settings& settings) { settings.moderation[0] = {.interval = microseconds(8191)}; }));
  for (const Duration wrong : {Duration(microseconds(8192)), Duration(-1000), Duration(1500)}) {
    const auto refused = port->change([&](Settings& settings) { settings.moderation[0] = {.interval = wrong}; });
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(refused.error().message(), testing::HasSubstr("from 0 to 8191"));
  }
  EXPECT_EQ(port->change([](Settings& settings) { settings.moderation[16] = {}; }).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(interval(1), 8191U);
  EXPECT_EQ(port->settings().moderation.at(0).interval, microseconds(8191));
}

TEST_F(Moderation, ADeviceWithoutMsixIsNamedWithItsFix) {
  start(1, 0);
  const auto refused = interrupts().rx_vectors();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::not_supported);
  EXPECT_THAT(refused.error().message(), testing::HasSubstr("sim:0: the device has no MSI-X vectors"));
  EXPECT_THAT(refused.error().hint, testing::HasSubstr("poll the port's queues"));
  EXPECT_EQ(port->change([](Settings& settings) { settings.moderation[0] = {}; }).error().code,
            ErrorCode::not_supported);
}

/// A steady stream of frames, and a thread that sleeps while none wait.
class ModeratedStream : public Moderation {
 protected:
  struct Seen {
    std::vector<Time> messages;
    Duration longest_wait{0};  // of a frame, until a message announced it or the receiver found it
    unsigned frames = 0;
  };

  /// Time passes in steps of a microsecond. A frame arrives each `gap`. The receiver works for `work` after each
  /// message, then it takes all frames and sleeps again.
  [[nodiscard]] Seen run(Duration gap, Duration length, Duration work = Duration::zero()) {
    Seen seen;
    const Time start = fixture->clock->now();
    Time next_frame = start;
    Time works_until = start;
    Time oldest = Time::max();
    bool sleeps = false;
    static_cast<void>(take_signals(1));  // of an earlier stream
    const std::uint32_t sent_before = messages();
    const auto note_messages = [&](Time now) {
      while (seen.messages.size() < messages() - sent_before) seen.messages.push_back(now);
    };
    for (Time now = start; now < start + length; now = fixture->clock->now()) {
      if (now >= next_frame) {
        inject_to(0);
        next_frame += gap;
        oldest = std::min(oldest, now);
      }
      note_messages(now);
      if (sleeps && has_event(rx(0))) {
        sleeps = false;
        works_until = now + work;
        if (oldest != Time::max()) seen.longest_wait = std::max(seen.longest_wait, now - oldest);
      }
      if (!sleeps && now >= works_until) {
        do {
          while (const std::uint32_t taken = poll(0)) seen.frames += taken;
        } while (!rx(0).arm());
        note_messages(now);
        oldest = Time::max();
        sleeps = true;
      }
      fixture->clock->advance(microseconds(1));
    }
    rx(0).disarm();
    while (const std::uint32_t taken = poll(0)) seen.frames += taken;
    note_messages(fixture->clock->now());
    EXPECT_EQ(take_signals(1), seen.messages.size()) << "a message signals the vector's eventfd once";
    return seen;
  }
  /// The signals of a vector's eventfd since the last call. Nothing else reads it.
  [[nodiscard]] std::uint64_t take_signals(unsigned vector) {
    const int event = fixture->faults->interrupt_events.at(vector);
    pollfd look{event, POLLIN, 0};
    std::uint64_t count = 0;
    if (::poll(&look, 1, 0) == 1) {
      EXPECT_EQ(::read(event, &count, sizeof count), 8);
    }
    return count;
  }
  [[nodiscard]] static Duration shortest_pause(const std::vector<Time>& messages) {
    Duration shortest = Duration::max();
    for (std::size_t i = 1; i < messages.size(); ++i) shortest = std::min(shortest, messages[i] - messages[i - 1]);
    return shortest;
  }
};

TEST_F(ModeratedStream, AFixedIntervalHasOneMessage) {
  start(1);
  for (const unsigned interval : {50U, 100U, 1000U, 8191U}) {
    ASSERT_TRUE(
        port->change([&](Settings& settings) { settings.moderation[0] = {.interval = microseconds(interval)}; }));
    fixture->clock->advance(milliseconds(20));  // the interval before has ended
    const Seen seen = run(microseconds(10), 20 * microseconds(interval) - microseconds(5));
    EXPECT_EQ(seen.frames, 2 * interval) << interval;
    EXPECT_EQ(seen.messages.size(), 20U) << interval;
    EXPECT_GE(shortest_pause(seen.messages), microseconds(interval));
    EXPECT_LE(seen.longest_wait, microseconds(interval)) << "a frame waits no longer than an interval";
  }
}

TEST_F(ModeratedStream, AFrameAfterAPauseIsNotDelayed) {
  start(1);
  ASSERT_TRUE(port->change([&](Settings& settings) { settings.moderation[0] = {.interval = microseconds(100)}; }));
  const Seen seen = run(microseconds(150), microseconds(15'000));
  EXPECT_EQ(seen.messages.size(), 100U) << "one for each frame";
  EXPECT_EQ(seen.longest_wait, Duration::zero());
}

TEST_F(ModeratedStream, WithoutModerationEachFrameHasOne) {
  start(1);
  const Seen seen = run(microseconds(10), microseconds(2000));
  EXPECT_EQ(seen.frames, 200U);
  EXPECT_EQ(seen.messages.size(), 200U);
}

TEST_F(ModeratedStream, AdaptiveModerationFollowsTheLoad) {
  start(1);
  ASSERT_TRUE(port->change(
      [&](Settings& settings) { settings.moderation[0] = {.interval = microseconds(400), .adaptive = true}; }));
  const auto settled = [&](Duration gap, Duration work) {
    static_cast<void>(run(gap, milliseconds(2), work));
    return run(gap, milliseconds(20), work);
  };
  // 50 frames between two sleeps: the whole interval.
  Seen seen = settled(microseconds(10), microseconds(500));
  EXPECT_EQ(interval(1), 400U);
  EXPECT_GE(shortest_pause(seen.messages), microseconds(400));
  // With it, a receiver that needs no time finds 40.
  seen = settled(microseconds(10), microseconds(0));
  EXPECT_EQ(interval(1), 400U);
  EXPECT_GE(shortest_pause(seen.messages), microseconds(400));
  EXPECT_LE(seen.longest_wait, microseconds(400));
  // 10 frames: a quarter of it.
  seen = settled(microseconds(20), microseconds(200));
  EXPECT_EQ(interval(1), 100U);
  EXPECT_LE(seen.longest_wait, microseconds(100));
  // One frame: none.
  seen = settled(microseconds(50), microseconds(0));
  EXPECT_EQ(interval(1), 0U);
  EXPECT_EQ(seen.messages.size(), 400U) << "one for each frame";
  EXPECT_EQ(seen.longest_wait, Duration::zero());
}

}  // namespace
}  // namespace pollux::drivers::igb
