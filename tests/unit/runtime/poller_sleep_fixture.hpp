// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>

#include "fake_queue.hpp"
#include "pollux/pollux.hpp"

namespace pollux::test {

class PollerSleep : public PollerFixture {
 protected:
  /// `frames` frames reach `queue` when the clock comes to `at`.
  void put_at(FakeQueue& queue, Time at, std::uint32_t frames = 1) {
    clock_->follow([&queue, at, frames, done = false](Duration now) mutable {
      if (done || now < at) return;
      done = true;
      queue.put(frames);
    });
  }
  /// Runs until a frame comes. Returns how long that took.
  Duration wait_for_frame(Poller& poller) {
    const Time start = clock_->now();
    while (run(poller) == 0) {
    }
    return clock_->now() - start;
  }
  /// Opens the window of an adaptive queue: a frame comes soon after the poller has begun to wait.
  void open_window(Poller& poller, FakeQueue& queue) {
    run(poller);
    put_at(queue, clock_->now() + std::chrono::microseconds(30));
    wait_for_frame(poller);
    queue.arms = 0;
  }
  /// Frames come together after a pause of `pause`.
  void pause(Poller& poller, FakeQueue& queue, Duration pause, std::uint32_t frames = 1) {
    run(poller);  // the idle time begins
    clock_->advance(pause);
    queue.put(frames);
    EXPECT_EQ(run(poller), frames);
  }
};

}  // namespace pollux::test
