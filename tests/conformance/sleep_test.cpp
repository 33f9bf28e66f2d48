// SPDX-License-Identifier: BSD-3-Clause
// Sleeping on a receive queue: a port wakes the thread that sleeps, or event_fd() shows that it cannot.
#include <unistd.h>

#include <algorithm>
#include <array>

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
      queue().arm();
    } else {
      EXPECT_FALSE(queue().arm());
    }
    queue().disarm();
  }
}

CONFORMANCE_TEST_WHERE(Sleeping, AFrameWakes, traits.delivers && !traits.by_file) {
  start_both();
  if (!can_sleep()) return;
  for (std::uint32_t round = 0; round < 5; ++round) {
    ASSERT_TRUE(arms());
    if (!traits().needs_relay) {  // the kernel has frames of its own
      EXPECT_FALSE(is_readable());
    }
    const Bytes frame = make_frame(64, round);
    send(left(), {frame});
    ASSERT_TRUE(is_readable(kLimit)) << "round " << round;
    queue().disarm();
    EXPECT_EQ(receive(right(), 1), std::vector<Bytes>{frame});
  }
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
