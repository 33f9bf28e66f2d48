// SPDX-License-Identifier: BSD-3-Clause
// Sleeping on a receive queue: a port wakes the thread that sleeps, or event_fd() shows that it cannot.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "conformance/fixture.hpp"

namespace pollux::conformance {
namespace {

class Sleeping : public Conformance {
 protected:
  [[nodiscard]] RxQueue& queue() { return right().rx(0); }
  [[nodiscard]] bool is_readable(Duration limit = Duration(0)) {
    std::array waiting{pollfd{queue().event_fd(), POLLIN, 0}};
    const Time until = context_->clock().now() + limit;
    unsigned ready = 0;
    do {
      pass_time();
      const auto waited = context_->clock().wait(waiting, std::min(until, context_->clock().now() + kSlice));
      EXPECT_TRUE(waited) << waited.error().message();
      if (!waited) return false;
      ready = *waited;
    } while (ready == 0 && context_->clock().now() < until);
    return ready != 0;
  }
  void drop_waiting() {
    DropCounter inspected("inspected");
    Burst<32> burst;
    for (int i = 0; i < 100 && queue().rx_burst(burst) != 0; ++i) burst.drop(inspected, *cache_);
  }
  /// Polls and arms in turn, as a polling thread does, until the queue is armed.
  [[nodiscard]] bool arms() {
    for (int i = 0; i < 100; ++i) {
      drop_waiting();
      if (queue().arm()) return true;
      pass_time();
    }
    return false;
  }
  /// Whether a thread can sleep on the queue: it has a descriptor, and does not always have frames.
  [[nodiscard]] bool can_sleep() { return queue().event_fd() >= 0 && pair().right != "null:?rx=64"; }

  static constexpr Duration kSlice = std::chrono::milliseconds(10);
  static constexpr Duration kLimit = std::chrono::seconds(20);
};

CONFORMANCE_TEST(Sleeping, AQueueWithoutADescriptorIsNeverArmed) {
  start_both();
  for (int i = 0; i < 3; ++i) {
    drop_waiting();
    if (can_sleep()) {
      static_cast<void>(queue().arm());
    } else {
      EXPECT_FALSE(queue().arm());
    }
    queue().disarm();
  }
}

/// Counts what a queue tells it, and the times at which the queue was armed.
class SleepRecorder final : public RxObserver {
 public:
  void received(const RxQueue&, std::span<Mbuf* const>) noexcept override { ++bursts; }
  void found_none(const RxQueue&) noexcept override { ++bursts; }
  void slept(const RxQueue&, std::uint64_t since) noexcept override {
    bursts_before = bursts;
    armed_at = since;
  }

  std::uint64_t bursts = 0;
  std::uint64_t bursts_before = 0;
  std::uint64_t armed_at = 0;
};

CONFORMANCE_TEST(Sleeping, ObserversAreToldBeforeTheNextBurst) {
  start_both();
  if (!can_sleep()) return;
  SleepRecorder recorder;
  ASSERT_TRUE(right().attach_observer(0, recorder));
  const std::uint64_t before = read_cycles();
  ASSERT_TRUE(arms());
  const std::uint64_t after = read_cycles();
  queue().disarm();
  const std::uint64_t bursts = recorder.bursts;
  drop_waiting();
  EXPECT_EQ(recorder.bursts_before, bursts);
  EXPECT_GE(recorder.armed_at, before);
  EXPECT_LE(recorder.armed_at, after);
  recorder.armed_at = 0;
  drop_waiting();
  EXPECT_EQ(recorder.armed_at, 0U) << "it was not armed again";
  ASSERT_TRUE(right().detach_observer(0, recorder));
}

CONFORMANCE_TEST_WHERE(Sleeping, AFrameWakes, traits.delivers && !traits.by_file) {
  start_both();
  if (!can_sleep()) return;
  for (std::uint32_t round = 0; round < 5; ++round) {
    ASSERT_TRUE(arms());
    if (!traits().needs_relay && !traits().repeats_messages) {  // the kernel has frames of its own
      EXPECT_FALSE(is_readable());
    }
    const Bytes frame = make_frame(64, round);
    send(left(), {frame});
    ASSERT_TRUE(is_readable(kLimit)) << "round " << round;
    queue().disarm();
    EXPECT_EQ(receive(right(), 1), std::vector<Bytes>{frame});
  }
}

// A thread with sixteen queues polls only those whose descriptor is readable. QEMU's card has nine vectors for them.
CONFORMANCE_TEST_WHERE(Sleeping, EachOfManyQueuesWakes, traits.card_receive) {
  const std::uint16_t many = traits().queues;
  constexpr std::uint32_t kFlows = 64;
  const pollux::Settings wanted{.rx = {many, {.ring = 64}}, .tx = {{.ring = 64}}};
  start_both(wanted, wanted);
  Clock& clock = context_->clock();
  const auto interrupts = right().capability<Interrupts>();
  ASSERT_TRUE(interrupts);
  const auto vectors = interrupts->rx_vectors();
  ASSERT_TRUE(vectors) << vectors.error().message();
  std::map<unsigned, std::uint32_t> queues_of;
  for (const unsigned vector : *vectors) ++queues_of[vector];
  EXPECT_EQ(vectors->size(), many);
  EXPECT_EQ(queues_of.count(0), 0U) << "vector 0 belongs to no queue";
  for (const auto& [vector, queues] : queues_of) EXPECT_LE(queues, (many - 1U) / queues_of.size() + 1) << vector;

  std::uint32_t received = 0;
  DropCounter inspected("inspected");
  const auto sleep_again = [&](RxQueue& queue) {
    for (int i = 0; i < 100; ++i) {
      Burst<32> burst;
      while (queue.rx_burst(burst) != 0) {
        received += burst.size();
        burst.drop(inspected, *cache_);
      }
      if (queue.arm()) return true;
    }
    return false;
  };
  for (std::uint16_t queue = 0; queue < many; ++queue) ASSERT_TRUE(sleep_again(right().rx(queue))) << queue;
  std::vector<Bytes> frames;
  for (std::uint32_t flow = 0; flow < kFlows; ++flow) frames.push_back(make_flow(flow));
  send(left(), frames);
  const Time deadline = clock.now() + kLimit;
  while (received < kFlows && clock.now() < deadline) {
    pass_time();
    for (std::uint16_t i = 0; i < many; ++i) {
      RxQueue& queue = right().rx(i);
      std::array waiting{pollfd{queue.event_fd(), POLLIN, 0}};
      const auto ready = clock.wait(waiting, clock.now());
      ASSERT_TRUE(ready) << ready.error().message();
      if (*ready == 0) continue;
      queue.disarm();
      ASSERT_TRUE(sleep_again(queue)) << i;
    }
  }
  EXPECT_EQ(received, kFlows) << "a queue with frames did not wake its thread";
}

CONFORMANCE_TEST_WHERE(Sleeping, IsNotArmedWhileFramesWait, traits.delivers && !traits.by_file) {
  start_both();
  if (!can_sleep()) return;
  ASSERT_TRUE(arms());
  send(left(), make_frames(3, 64));
  ASSERT_TRUE(is_readable(kLimit));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(queue().arm());
  EXPECT_EQ(receive(right(), 3).size(), 3U);
}

CONFORMANCE_TEST_WHERE(Sleeping, ABlockingReceiveReturnsAFrameOrTimesOut,
                       traits.delivers && !traits.by_file && !traits.needs_relay) {
  start_both();
  Clock& clock = context_->clock();
  Burst<32> burst;
  if (queue().event_fd() < 0) {
    const auto refused = rx_burst_wait(clock, queue(), burst, kLimit);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::not_supported);
    return;
  }
  DropCounter inspected("inspected");
  for (std::uint32_t round = 0; round < 3; ++round) {
    const Bytes frame = make_frame(64, round);
    send(left(), {frame});
    ASSERT_EQ(rx_burst_wait(clock, queue(), burst, kLimit).value_or(9), 1U);
    EXPECT_EQ(content(burst[0]), frame);
    burst.drop(inspected, *cache_);
    const Time start = clock.now();
    EXPECT_EQ(rx_burst_wait(clock, queue(), burst, kSlice).value_or(9), 0U);
    EXPECT_GE(clock.now() - start, kSlice);
  }
  EXPECT_EQ(rx_burst_wait(clock, queue(), burst, Duration(-1)).value_or(9), 0U);
}

class Moderating : public Sleeping {
 protected:
  /// EITR's interval of the vector of queue 0, in microseconds.
  [[nodiscard]] std::uint32_t written() {
    const auto vectors = right().capability<Interrupts>()->rx_vectors();
    EXPECT_TRUE(vectors);
    const std::string name = "EITR[" + std::to_string(vectors ? vectors->front() : 0) + "]";
    for (const RegisterValue& entry : right().capability<RegisterDump>()->registers()) {
      if (entry.name == name) return entry.value >> 2 & 0x1FFF;
    }
    ADD_FAILURE() << "no register " << name;
    return 0;
  }
  void moderate(const InterruptModeration& wanted) {
    const auto set = right().change([&](pollux::Settings& settings) { settings.moderation[0] = wanted; });
    ASSERT_TRUE(set) << set.error().message();
  }
  /// An in-process card without a thread of its own sends a delayed message at the next access to a card.
  [[nodiscard]] bool wakes() {
    const Time until = context_->clock().now() + kLimit;
    while (!is_readable(kSlice)) {
      static_cast<void>(left().link());
      if (context_->clock().now() >= until) return false;
    }
    return true;
  }
  /// Sleeps until each of `count` frames has arrived, which are sent one at a time. Returns how often the queue woke.
  [[nodiscard]] std::uint32_t sleep_for(std::uint32_t count) {
    std::uint32_t woken = 0;
    for (std::uint32_t number = 0; number < count; ++number) {
      if (!arms()) return woken;
      send(left(), {make_frame(64, number)});
      if (!wakes()) return woken;
      queue().disarm();
      ++woken;
      EXPECT_EQ(receive(right(), 1).size(), 1U);
    }
    return woken;
  }
};

// Only that no frame is left in the ring: how long a message waits, igb_test says in virtual time.
CONFORMANCE_TEST_WHERE(Moderating, EachFrameStillWakes, traits.card_receive) {
  constexpr std::uint32_t kFrames = 12;
  start_both();
  for (const auto interval : {std::chrono::microseconds(50), std::chrono::microseconds(8191)}) {
    moderate({.interval = interval});
    EXPECT_EQ(written(), interval.count());
    EXPECT_EQ(sleep_for(kFrames), kFrames);
    moderate({.interval = interval, .adaptive = true});
    EXPECT_EQ(written(), 0U) << "until frames have come";
    EXPECT_EQ(sleep_for(kFrames), kFrames);
  }
}

CONFORMANCE_TEST_WHERE(Moderating, AdaptsToTheFramesOfASleep, traits.card_receive) {
  start_both();
  moderate({.interval = std::chrono::microseconds(400), .adaptive = true});
  ASSERT_TRUE(arms());
  for (const auto& [frames, expected] : {std::pair{4U, 0U}, {8U, 100U}, {40U, 400U}, {1U, 0U}}) {
    send(left(), make_frames(frames, 64));
    EXPECT_EQ(receive(right(), frames).size(), frames);
    ASSERT_TRUE(queue().arm());
    EXPECT_EQ(written(), expected) << frames << " frames";
    queue().disarm();
  }
}

CONFORMANCE_TEST_WHERE(Moderating, OutlivesARestart, traits.card_receive) {
  const InterruptModeration fixed{.interval = std::chrono::microseconds(700)};
  start_both();
  moderate(fixed);
  stop_both();
  start_again();
  EXPECT_EQ(right().settings().moderation.at(0), fixed);
  EXPECT_EQ(written(), 700U);
  EXPECT_EQ(sleep_for(3), 3U);
  moderate({});
  EXPECT_EQ(written(), 0U);
}

CONFORMANCE_TEST(Sleeping, StoppingStartingAndClosingWake) {
  start_both();
  if (!can_sleep()) return;
  ASSERT_TRUE(arms());
  ASSERT_TRUE(right().stop());
  EXPECT_TRUE(is_readable());
  EXPECT_FALSE(queue().arm()) << "reports the change once";
  ASSERT_TRUE(queue().arm()) << "a queue that is stopped receives nothing";
  EXPECT_FALSE(is_readable());
  ASSERT_TRUE(right().start());
  EXPECT_TRUE(is_readable());
  ASSERT_TRUE(arms());
  // A duplicate outlives the port's descriptor, as in a thread that waits for it in the kernel.
  const int copy = ::dup(queue().event_fd());
  ASSERT_GE(copy, 0);
  ASSERT_TRUE(right().close());
  pollfd waiting{copy, POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 0), 1);
  ::close(copy);
}

CONFORMANCE_TEST(Sleeping, ClosingWakesAReceiverOfAStoppedPort) {
  start_both();
  if (!can_sleep()) return;
  ASSERT_TRUE(right().stop());
  static_cast<void>(queue().arm());
  ASSERT_TRUE(queue().arm());
  const int copy = ::dup(queue().event_fd());
  ASSERT_GE(copy, 0);
  pollfd waiting{copy, POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 0), 0);
  ASSERT_TRUE(right().close());
  EXPECT_EQ(::poll(&waiting, 1, 0), 1);
  ::close(copy);
}

CONFORMANCE_TEST(Sleeping, TheDescriptorStaysTheSame) {
  start_both();
  const int descriptor = queue().event_fd();
  ASSERT_TRUE(right().stop());
  EXPECT_EQ(queue().event_fd(), descriptor);
  ASSERT_TRUE(right().start());
  EXPECT_EQ(queue().event_fd(), descriptor);
}

}  // namespace
}  // namespace pollux::conformance
