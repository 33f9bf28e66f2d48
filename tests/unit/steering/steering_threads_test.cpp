// SPDX-License-Identifier: BSD-3-Clause
// Consumers that are threads, and that move flows to themselves. What belongs to a flow is not atomic: the thread
// sanitizer reports a move that does not order what both consumers do.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "pollux/pollux.hpp"

namespace pollux::test {
namespace {

class SteeringThreads : public testing::Test {
 protected:
  static constexpr std::uint16_t kConsumers = 3;
  static constexpr std::uint32_t kFlows = 16;
  static constexpr std::uint64_t kFrames = 60'000;

  template <class T>
  static T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message());
    return *std::move(result);
  }
  [[nodiscard]] static std::uint32_t hash_of(std::uint64_t flow) {
    return static_cast<std::uint32_t>(flow * 0x9E3779B1U);
  }

  void handle(Burst<64>& burst, std::uint16_t consumer, MempoolCache& cache) {
    for (Mbuf& frame : burst) {
      const std::uint64_t flow = frame.user() >> 48;
      const std::uint64_t number = frame.user() & 0xFFFF'FFFF'FFFF;
      if (number < next_[flow]) ++late_;
      next_[flow] = number + 1;
      if (number % 8 == 0) steering_->follow(hash_of(flow), static_cast<std::uint16_t>(number / 8 % kConsumers));
    }
    handled_ += burst.size();
    burst.drop(drops_[consumer], cache);
  }
  void consume(std::uint16_t consumer) {
    MempoolCache cache(pool_);
    Poller poller(context_);
    auto polled = poller.add(steering_->consumer(consumer), [&](Burst<64>& burst) { handle(burst, consumer, cache); },
                             {.mode = PollMode::interrupt});
    ASSERT_TRUE(polled);
    while (!over_) ASSERT_TRUE(poller.run_once(context_.clock().now() + std::chrono::milliseconds(20)));
  }
  void send_all() {
    MempoolCache cache(pool_);
    std::array<std::uint64_t, kFlows> sent{};
    for (std::uint64_t frames = 0; frames < kFrames;) {
      Burst<16> burst;
      while (!burst.full()) {
        MbufPtr frame = cache.allocate();
        if (frame == nullptr) break;
        const std::uint64_t flow = frames++ % kFlows;
        SoftwareRxMetadata{.rss_hash = hash_of(flow)}.attach_to(*frame);
        frame->set_user(flow << 48 | sent[flow]++);
        if (!burst.push(frame)) FAIL();
      }
      steering_->steer(burst, cache);
      // Flows move only off consumers that catch up.
      while (frames % 64 == 0 && accounted() + 128 < frames) std::this_thread::yield();
    }
  }
  [[nodiscard]] std::uint64_t accounted() const {
    std::uint64_t frames = handled_;
    for (std::uint16_t i = 0; i < kConsumers; ++i) frames += steering_->consumer_stats(i).ring_full;
    return frames;
  }

  Context context_{{.huge_pages = HugePages::never}};
  Mempool pool_ = must(Mempool::create(context_, {.count = 4096, .data_room = 64, .headroom = 0}));
  std::unique_ptr<PacketSteering> steering_ =
      must(PacketSteering::create(context_, {.consumers = kConsumers, .ring = 512}));
  std::array<std::uint64_t, kFlows> next_{};  // not atomic: only the consumer that handles the flow may touch it
  std::array<DropCounter, kConsumers> drops_{DropCounter("0"), DropCounter("1"), DropCounter("2")};
  std::atomic<std::uint64_t> late_{0};
  std::atomic<std::uint64_t> handled_{0};
  std::atomic<bool> over_{false};
};

TEST_F(SteeringThreads, KeepTheOrderAndLoseNothing) {
  std::vector<std::thread> threads;
  for (std::uint16_t i = 0; i < kConsumers; ++i) threads.emplace_back([this, i] { consume(i); });
  send_all();
  while (accounted() < kFrames) std::this_thread::yield();
  over_ = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(late_, 0U);
  EXPECT_EQ(accounted(), kFrames);
  EXPECT_GT(steering_->stats().moves, 100U);
}

}  // namespace
}  // namespace pollux::test
