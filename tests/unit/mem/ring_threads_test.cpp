// SPDX-License-Identifier: BSD-3-Clause
// Rings between threads, tested by several threads: nothing is lost, duplicated or out of order. Also run with the
// thread sanitizer.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "pollux/mem/mbuf_ring.hpp"
#include "unit/mem/pool_fixture.hpp"

namespace pollux {
namespace {

constexpr std::uint32_t kValues = 30'000;  // from each producer
constexpr std::uint32_t kRingSlots = 16;   // small, so that it is full and empty often
constexpr std::uint32_t kMaxAtOnce = 7;

struct Stamped {
  std::uint32_t producer;
  std::uint32_t number;
};

/// The values that the producers of one run enqueue, each from 0 on.
template <class Ring>
void produce(Ring& ring, std::uint32_t producer) {
  std::mt19937 random(producer);
  std::array<Stamped, kMaxAtOnce> values{};
  for (std::uint32_t next = 0; next < kValues;) {
    const std::uint32_t count = std::min(1 + static_cast<std::uint32_t>(random()) % kMaxAtOnce, kValues - next);
    for (std::uint32_t i = 0; i < count; ++i) values[i] = {producer, next + i};
    const std::uint32_t taken = ring.enqueue(std::span(std::as_const(values)).first(count));
    next += taken;
    if (taken == 0) std::this_thread::yield();
  }
}

/// The values that one consumer dequeued.
struct Taken {
  std::vector<std::vector<std::uint32_t>> by_producer;
  bool in_order = true;
};

template <class Ring>
void consume(Ring& ring, Taken& taken, std::atomic<std::uint32_t>& left) {
  std::mt19937 random(99);
  std::array<Stamped, kMaxAtOnce> values{};
  while (left.load(std::memory_order_relaxed) != 0) {
    const std::uint32_t count = ring.dequeue(std::span(values).first(1 + random() % kMaxAtOnce));
    for (std::uint32_t i = 0; i < count; ++i) {
      auto& numbers = taken.by_producer[values[i].producer];
      taken.in_order = taken.in_order && (numbers.empty() || numbers.back() < values[i].number);
      numbers.push_back(values[i].number);
    }
    left.fetch_sub(count, std::memory_order_relaxed);
    if (count == 0) std::this_thread::yield();
  }
}

/// Checks that all consumers together have each value of each producer once, and each consumer has them in order.
template <class Ring>
void expect_all_pass(std::uint32_t producers, std::uint32_t consumers) {
  Ring ring(kRingSlots);
  std::atomic<std::uint32_t> left{producers * kValues};
  std::vector<Taken> taken(consumers);
  std::vector<std::thread> threads;
  for (Taken& one : taken) {
    one.by_producer.resize(producers);
    threads.emplace_back([&] { consume(ring, one, left); });
  }
  for (std::uint32_t number = 0; number < producers; ++number)
    threads.emplace_back([&ring, number] { produce(ring, number); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(ring.empty());
  for (const Taken& one : taken) EXPECT_TRUE(one.in_order);
  for (std::uint32_t producer = 0; producer < producers; ++producer) {
    std::vector<std::uint32_t> all;
    for (const Taken& one : taken) {
      all.insert(all.end(), one.by_producer[producer].begin(), one.by_producer[producer].end());
    }
    std::sort(all.begin(), all.end());
    ASSERT_EQ(all.size(), kValues);
    for (std::uint32_t i = 0; i < kValues; ++i) ASSERT_EQ(all[i], i) << "of producer " << producer;
  }
}

TEST(RingThreads, OneProducerAndOneConsumerLoseNothing) {
  expect_all_pass<SpscRing<Stamped>>(1, 1);
  expect_all_pass<MpscRing<Stamped>>(1, 1);
}

TEST(RingThreads, ManyProducersAndOneConsumerLoseNothing) { expect_all_pass<MpscRing<Stamped>>(3, 1); }

TEST(RingThreads, ManyProducersAndManyConsumersLoseNothing) { expect_all_pass<MpmcRing<Stamped>>(3, 3); }

/// Passes frames from one thread to another and back; one writes each frame and the other reads it.
template <class Ring>
void expect_frames_cross() {
  constexpr std::uint32_t kFrames = 20'000;
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 512, .data_room = 64, .headroom = 0});
  Ring ring(64);
  DropCounter received("received");
  std::uint32_t wrong = 0;
  std::thread sender([&] {
    MempoolCache cache(pool, 64);
    for (std::uint32_t next = 0; next < kFrames;) {
      Burst<32> burst;
      if (!burst.fill(cache, std::min(32U, kFrames - next))) {
        std::this_thread::yield();
        continue;
      }
      for (Mbuf& mbuf : burst) {
        std::memcpy(mbuf.append(sizeof next), &next, sizeof next);
        ++next;
      }
      while (!burst.empty()) {
        if (ring.enqueue(burst) == 0) std::this_thread::yield();
      }
    }
  });
  MempoolCache cache(pool, 64);
  for (std::uint32_t due = 0; due < kFrames;) {
    Burst<32> burst;
    if (ring.dequeue(burst) == 0) std::this_thread::yield();
    for (const Mbuf& mbuf : burst) {
      std::uint32_t number = 0;
      std::memcpy(&number, mbuf.data(), sizeof number);
      if (mbuf.length() != sizeof number || number != due++) ++wrong;
    }
    burst.drop(received, cache);
  }
  sender.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_EQ(received.value(), kFrames);
  EXPECT_EQ(pool.stats().in_use(), 0U);
  EXPECT_THAT(fixture.misuses(), testing::IsEmpty());
}

TEST(RingThreads, FramesKeepTheirBytes) {
  expect_frames_cross<SpscMbufRing>();
  expect_frames_cross<MpscMbufRing>();
  expect_frames_cross<MpmcMbufRing>();
}

}  // namespace
}  // namespace pollux
