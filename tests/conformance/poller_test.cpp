// SPDX-License-Identifier: BSD-3-Clause
// A Poller on the queues of any port: it sleeps, wakes, and leaves no frame behind.
#include <algorithm>
#include <vector>

#include "conformance/fixture.hpp"
#include "pollux/runtime/poller.hpp"

namespace pollux::conformance {
namespace {

class Polling : public Conformance {
 protected:
  /// Keeps frames that the test has sent; the kernel sends others to a TAP.
  [[nodiscard]] auto keeper() {
    return [this](Burst<32>& burst) {
      for (const Mbuf& mbuf : burst) arrived_.push_back(content(mbuf));
      burst.drop(handled_, *cache_);
    };
  }
  [[nodiscard]] bool runs_until_arrived(Poller& poller, const Bytes& frame) {
    Clock& clock = context_->clock();
    const Time deadline = clock.now() + kLimit;
    while (std::ranges::find(arrived_, frame) == arrived_.end()) {
      if (clock.now() >= deadline) return false;
      pass_time();
      const auto ran = poller.run_once(clock.now() + kSlice);
      EXPECT_TRUE(ran) << ran.error().message();
      if (!ran) return false;
    }
    return true;
  }

  static constexpr Duration kSlice = std::chrono::milliseconds(10);
  static constexpr Duration kLimit = std::chrono::seconds(20);
  std::vector<Bytes> arrived_;
  DropCounter handled_{"handled"};
};

CONFORMANCE_TEST_WHERE(Polling, APollerReceivesInEachMode, traits.delivers && !traits.by_file) {
  start_both();
  RxQueue& queue = right().rx(0);
  Poller poller(*context_);
  auto polled = poller.add(queue, keeper());
  ASSERT_TRUE(polled) << polled.error().message();
  if (&left() != &right()) {
    ASSERT_TRUE(poller.add(left().rx(0), keeper()));
  }
  std::uint32_t number = 0;
  for (const PollMode mode : {PollMode::interrupt, PollMode::adaptive, PollMode::busy}) {
    if (mode == PollMode::interrupt && queue.event_fd() < 0) {
      EXPECT_FALSE((*polled)->set_mode(mode));
      continue;
    }
    ASSERT_TRUE((*polled)->set_mode(mode));
    for (int round = 0; round < 5; ++round) {
      for (int i = 0; i < 3; ++i) {
        pass_time();
        ASSERT_TRUE(poller.run_once(context_->clock().now() + kSlice));
      }
      const Bytes frame = make_frame(64, ++number);
      send(left(), {frame});
      EXPECT_TRUE(runs_until_arrived(poller, frame)) << "frame " << number;
    }
  }
}

CONFORMANCE_TEST_WHERE(Polling, ADisabledQueuesPortMayBeStopped, traits.delivers && !traits.by_file) {
  start_both();
  Poller poller(*context_);
  auto polled = poller.add(right().rx(0), keeper());
  ASSERT_TRUE(polled) << polled.error().message();
  ASSERT_TRUE(poller.run_once(context_->clock().now() + kSlice));
  ASSERT_TRUE((*polled)->disable());
  ASSERT_TRUE(right().stop());
  ASSERT_TRUE(poller.run_once(context_->clock().now() + kSlice));
  ASSERT_TRUE(right().start());
  ASSERT_TRUE(left().wait_for_link(kLimit) && right().wait_for_link(kLimit));
  (*polled)->enable();
  const Bytes frame = make_frame(64, 7);
  send(left(), {frame});
  EXPECT_TRUE(runs_until_arrived(poller, frame));
}

}  // namespace
}  // namespace pollux::conformance
