// SPDX-License-Identifier: BSD-3-Clause
// The order within flows that move all the time. Consumers are virtual threads: a random choice decides which of them
// runs next, and each may be interrupted between its poll and the handling of any frame.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "steering_fixture.hpp"

namespace pollux::test {
namespace {

class SteeringOrder : public SteeringFixture {
 protected:
  static constexpr std::uint16_t kConsumers = 4;
  static constexpr std::uint32_t kFlows = 24;

  [[nodiscard]] static std::uint32_t hash_of(std::uint64_t flow) {
    return static_cast<std::uint32_t>(flow * 0x9E3779B1U);
  }
  /// A random number below `limit`: SplitMix64 (Steele, Lea and Flood, 2014), which is fast without optimisation, too.
  std::uint64_t random(std::uint64_t limit) {
    std::uint64_t mixed = state_ += 0x9E3779B97F4A7C15;
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB;
    return (mixed >> 33) % limit;
  }

  /// The next frames of random flows, of which many have been told to move.
  void send() {
    Burst<8> burst;
    for (std::uint64_t left = random(8) + 1; left != 0; --left) {
      const std::uint64_t flow = random(kFlows);
      MbufPtr frame = hashed(hash_of(flow), flow << 48 | sent_[flow]++);
      ASSERT_TRUE(burst.push(frame));
      if (random(4) != 0) steering_->follow(hash_of(flow), static_cast<std::uint16_t>(random(kConsumers)));
    }
    steering_->steer(burst, cache_);
  }
  struct Consumer {
    Burst<16> burst;
    std::uint32_t next = 0;  ///< the frame of the burst to be handled
  };
  /// One step of a consumer: it handles a frame, or polls if it has none.
  void step(std::uint16_t index) {
    Consumer& consumer = consumers_[index];
    if (consumer.next == consumer.burst.size()) {
      consumer.burst.drop(handled_, cache_);
      consumer.next = 0;
      steering_->consumer(index).rx_burst(consumer.burst, static_cast<std::uint32_t>(random(16)) + 1);
      return;
    }
    const std::uint64_t frame = consumer.burst[consumer.next++].user();
    const std::uint64_t flow = frame >> 48;
    const std::uint64_t number = frame & 0xFFFF'FFFF'FFFF;
    // Numbers of dropped frames are missing, but none may come late.
    if (number < next_[flow]) ++late_;
    next_[flow] = number + 1;
    ++handled_frames_;
  }
  /// Fewer frames are sent than one consumer can handle. Otherwise all flows would stay on one that never catches up.
  void run(std::uint64_t moves) {
    for (std::uint64_t steps = 0; steps < 100 * moves && steering_->stats().moves < moves; ++steps) {
      if (random(32) == 0) {
        send();
      } else {
        step(static_cast<std::uint16_t>(random(kConsumers)));
      }
    }
    EXPECT_GE(steering_->stats().moves, moves);
    for (std::uint32_t rest = 0; rest < 20'000; ++rest) step(static_cast<std::uint16_t>(rest % kConsumers));
  }
  [[nodiscard]] std::uint64_t dropped() const {
    std::uint64_t frames = 0;
    for (std::uint16_t i = 0; i < kConsumers; ++i) frames += steering_->consumer_stats(i).ring_full;
    return frames;
  }
  [[nodiscard]] std::uint64_t sent() const {
    std::uint64_t frames = 0;
    for (const std::uint64_t of_flow : sent_) frames += of_flow;
    return frames;
  }

  std::uint64_t state_ = 11;
  std::array<std::uint64_t, kFlows> sent_{};
  std::array<std::uint64_t, kFlows> next_{};
  std::array<Consumer, kConsumers> consumers_;
  std::uint64_t late_ = 0;
  std::uint64_t handled_frames_ = 0;
};

TEST_F(SteeringOrder, IsKeptOverAMillionMoves) {
  open({.consumers = kConsumers, .ring = 1024});
  run(1'000'000);
  EXPECT_EQ(late_, 0U);
  EXPECT_EQ(handled_frames_ + dropped(), sent());
  EXPECT_GT(handled_frames_, 1'000'000U);
  EXPECT_GT(steering_->stats().held_moves, 10'000U);
}

// Flows that share a slot move together, flows are evicted from a table that is too small, and rings are full.
TEST_F(SteeringOrder, IsKeptWhereEverythingIsTooSmall) {
  open({.consumers = kConsumers, .ring = 4, .slots = 16, .flows = 8});
  run(2'000);
  EXPECT_EQ(late_, 0U);
  EXPECT_EQ(handled_frames_ + dropped(), sent());
  EXPECT_GT(handled_frames_, 2'000U);
  EXPECT_GT(dropped(), 0U);
  EXPECT_GT(steering_->stats().evicted, 0U);
}

}  // namespace
}  // namespace pollux::test
