// SPDX-License-Identifier: BSD-3-Clause
// Receive queues that are polled too slowly: every frame is received, counted as a named drop, or counted as missed.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include "support/fixture.hpp"

namespace pollux::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kQueues = 4;
/// Maximum of a queue's RQDPC between two reads.
constexpr std::uint64_t kMaxRqdpc = 4095;

/// An IPv4 packet with one of many source addresses, so that the card distributes the packets over its queues.
Frame flow(std::uint32_t number, std::size_t bytes = 60) {
  Frame frame = counting_frame(bytes);
  constexpr std::array<unsigned, 20> kHeader{0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 0, 10, 1, 0, 1};
  frame[12] = std::byte{0x08};
  frame[13] = std::byte{0x00};
  for (std::size_t i = 0; i < kHeader.size(); ++i) frame[14 + i] = static_cast<std::byte>(kHeader[i]);
  frame[28] = static_cast<std::byte>(number >> 8 & 0xFF);
  frame[29] = static_cast<std::byte>(number & 0xFF);
  return frame;
}

/// One card in virtual time, whose queues are polled only when the test polls them.
class Overload : public testing::Test {
 protected:
  void set_up(std::uint16_t queues = kQueues, MempoolOptions pool = {.count = 1024}) {
    fixture_.emplace(
        CardFixtureOptions{.port = {.rx = {queues, {.ring = 64}}, .tx = {{.ring = 64}}, .mtu = 4000}, .pool = pool});
  }
  void inject(std::uint64_t frames, std::size_t bytes = 60) {
    for (std::uint64_t i = 0; i < frames; ++i) {
      fixture_->inject(flow(static_cast<std::uint32_t>(injected_ % 1024), bytes));
      ++injected_;
    }
  }
  std::uint64_t poll_once() {
    std::uint64_t count = 0;
    DropCounter received("received");
    for (std::uint16_t queue = 0; queue < fixture_->config.rx.size(); ++queue) {
      Burst<32> burst;
      count += fixture_->port.rx(queue).rx_burst(burst);
      burst.drop(received, fixture_->cache);
    }
    received_ += count;
    return count;
  }
  void poll_all() {
    while (poll_once() != 0) {
    }
  }
  /// Frames received, dropped or missed. Frames in the rings or the packet buffer are not counted yet.
  [[nodiscard]] std::uint64_t counted() {
    const Stats stats = fixture_->port.stats();
    EXPECT_EQ(stats.rx_burst_packets, received_);
    return received_ + stats.rx_dropped + stats.rx_missed_errors;
  }
  [[nodiscard]] std::uint64_t counter(std::string_view name) {
    for (const Counter& counter : fixture_->port.extended_stats()) {
      if (counter.name == name) return counter.value;
    }
    ADD_FAILURE() << "no counter " << name;
    return 0;
  }

  std::optional<CardFixture> fixture_;
  std::uint64_t injected_ = 0;
  std::uint64_t received_ = 0;
};

TEST_F(Overload, EveryMissedFrameIsCountedWithoutReadsInBetween) {
  set_up();
  inject(50'000);
  poll_all();
  EXPECT_GT(injected_ - received_, 2 * kQueues * kMaxRqdpc) << "more than RQDPC can count";
  EXPECT_EQ(counted(), injected_);
  EXPECT_EQ(fixture_->port.info().missed_count, MissedCount::exact);
}

TEST_F(Overload, FramesInTheRingsAreNotMissed) {
  set_up();
  inject(5'000);
  const std::uint64_t in_rings = kQueues * 63;
  EXPECT_EQ(counted(), injected_ - in_rings) << "no queue was polled";
  poll_once();
  EXPECT_EQ(counted(), injected_ - in_rings + received_) << "the rings are partly polled";
  poll_all();
  EXPECT_EQ(counted(), injected_);
}

TEST_F(Overload, MultiSegmentFramesAreCountedOnce) {
  set_up();
  inject(2'000, 4000);
  poll_all();
  EXPECT_EQ(counted(), injected_);
  inject(300, 60);
  inject(300, 3000);
  poll_all();
  EXPECT_EQ(counted(), injected_);
}

TEST_F(Overload, FramesDroppedByTheLibraryAreNotMissed) {
  set_up(kQueues, {.count = kQueues * 64 + 64});
  std::vector<MbufPtr> taken;
  for (MbufPtr mbuf = fixture_->pool.allocate(); mbuf != nullptr; mbuf = fixture_->pool.allocate())
    taken.push_back(std::move(mbuf));
  for (MbufPtr mbuf = fixture_->cache.allocate(); mbuf != nullptr; mbuf = fixture_->cache.allocate())
    taken.push_back(std::move(mbuf));
  for (int round = 0; round < 20; ++round) {
    inject(1'000);
    for (int polls = 0; polls < 4; ++polls) poll_once();
  }
  EXPECT_GT(fixture_->drops("rx_pool_empty"), 0u);
  EXPECT_EQ(counted(), injected_);
}

TEST_F(Overload, TheSumIsExactAfterEachStopAndStart) {
  set_up();
  for (int round = 0; round < 5; ++round) {
    inject(6'000);
    poll_once();
    ASSERT_TRUE(fixture_->port.stop());
    EXPECT_EQ(counted(), injected_) << "frames in the rings are counted as rx_stopped";
    ASSERT_TRUE(fixture_->port.start());
    ASSERT_TRUE(fixture_->port.wait_for_link(5s));
    EXPECT_EQ(counted(), injected_) << "a reset clears the card's counters, but not the port's";
  }
  EXPECT_GT(fixture_->drops("rx_stopped"), 0u);
}

TEST_F(Overload, FramesInThePacketBufferAtTheStopAreCounted) {
  set_up(1);
  inject(500);  // 63 in the ring, the rest in the packet buffer
  EXPECT_EQ(fixture_->port.stats().rx_missed_errors, 0u) << "frames in the packet buffer are not lost yet";
  ASSERT_TRUE(fixture_->port.stop());
  EXPECT_EQ(fixture_->drops("rx_stopped"), 63u);
  EXPECT_EQ(counter("rx_missed_stopped"), 500u - 63);
  EXPECT_EQ(counted(), injected_);
}

TEST_F(Overload, EachQueueReportsALowerBoundOfItsMissedFrames) {
  set_up();
  inject(3'000);
  const Stats stats = fixture_->port.stats();
  ASSERT_EQ(stats.rx_queues.size(), kQueues);
  std::uint64_t sum = 0;
  for (const QueueStats& queue : stats.rx_queues) {
    EXPECT_GT(queue.missed_at_least, 0u);
    sum += queue.missed_at_least;
  }
  EXPECT_EQ(sum, stats.rx_missed_errors) << "few enough for RQDPC";
  EXPECT_EQ(counter("rx_queue_2_missed_at_least"), stats.rx_queues[2].missed_at_least);
  inject(50'000);
  const Stats later = fixture_->port.stats();
  sum = 0;
  for (const QueueStats& queue : later.rx_queues) sum += queue.missed_at_least;
  EXPECT_LT(sum, later.rx_missed_errors) << "too many for RQDPC";
}

TEST_F(Overload, ForwardedFramesAreNotMissed) {
  set_up(2);
  auto path = [this] {
    EXPECT_TRUE(fixture_->port.stop());
    auto made = fixture_->port.forward_path(0, fixture_->port, 0);
    EXPECT_TRUE(made);
    EXPECT_TRUE(fixture_->port.start());
    EXPECT_TRUE(fixture_->port.wait_for_link(5s));
    return *std::move(made);
  }();
  std::uint64_t moved = 0;
  for (int round = 0; round < 20; ++round) {
    inject(400);
    moved += path->burst(32, [](ForwardedFrame&) {});
    poll_once();
  }
  while (const std::uint32_t more = path->burst(32, [](ForwardedFrame&) {})) moved += more;
  poll_all();
  const Stats stats = fixture_->port.stats();
  EXPECT_EQ(stats.rx_burst_packets, moved + received_);
  EXPECT_GT(moved, 0u);
  EXPECT_EQ(moved + received_ + stats.rx_dropped + stats.rx_missed_errors, injected_);
}

/// The same with cards on their own thread and one thread per port. Also checks that no counter decreases.
TEST(OverloadThreaded, EveryFrameIsReceivedDroppedOrMissed) {
  constexpr std::uint64_t kFrames = 60'000;
  Context context{{.huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  Mempool pool = Mempool::create(context, {.count = 4096}).value();
  const auto open_port = [&](std::string_view uri, std::uint16_t queues) {
    auto port = open(context, uri, {.rx = {queues, {.pool = pool, .ring = 64}}, .tx = {{.ring = 512}}});
    EXPECT_TRUE(port) << port.error().message();
    return *std::move(port);
  };
  Port sender = open_port("sim:0?thread", 1);
  Port receiver = open_port("sim:1", kQueues);
  ASSERT_TRUE(sender.wait_for_link(10s) && receiver.wait_for_link(10s));

  std::atomic<bool> done = false;
  std::atomic<std::uint64_t> received = 0;
  std::thread polling([&] {
    DropCounter polled("polled");
    MempoolCache cache(pool);
    for (std::uint16_t queue = 0; queue < kQueues; ++queue) ASSERT_TRUE(receiver.rx(queue).use_cache(cache));
    bool found = true;
    while (!done || found) {
      found = false;
      for (std::uint16_t queue = 0; queue < kQueues; ++queue) {
        Burst<4> burst;
        const std::uint32_t count = receiver.rx(queue).rx_burst(burst);
        found = found || count != 0;
        received += count;
        burst.drop(polled, cache);
      }
      std::this_thread::sleep_for(50us);  // deliberately too slow
    }
  });
  std::thread watching([&] {
    std::uint64_t missed = 0;
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    while (!done) {
      const Stats stats = receiver.stats();
      ASSERT_GE(stats.rx_missed_errors, missed);
      ASSERT_GE(stats.rx_packets, packets);
      ASSERT_GE(stats.rx_bytes, bytes);
      ASSERT_LE(stats.rx_missed_errors, kFrames);
      missed = stats.rx_missed_errors;
      packets = stats.rx_packets;
      bytes = stats.rx_bytes;
      std::this_thread::sleep_for(1ms);
    }
  });
  MempoolCache cache(pool);
  std::uint64_t sent = 0;
  while (sent < kFrames) {
    const Frame frame = flow(static_cast<std::uint32_t>(sent % 1024));
    MbufPtr mbuf = cache.allocate();
    if (mbuf == nullptr) {
      static_cast<void>(sender.tx(0).tx_done_cleanup());
      std::this_thread::yield();
      continue;
    }
    std::memcpy(mbuf->append(static_cast<std::uint32_t>(frame.size())), frame.data(), frame.size());
    Burst<1> out;
    ASSERT_TRUE(out.push(mbuf));
    while (sender.tx(0).tx_burst(out) == 0) std::this_thread::yield();
    ++sent;
  }
  while (sender.tx(0).in_flight() != 0) {
    static_cast<void>(sender.tx(0).tx_done_cleanup());
    std::this_thread::yield();
  }
  done = true;
  polling.join();
  watching.join();
  const Stats stats = receiver.stats();
  EXPECT_GT(stats.rx_missed_errors, 0u);
  EXPECT_EQ(stats.rx_burst_packets, received.load());
  EXPECT_EQ(received + stats.rx_dropped + stats.rx_missed_errors, kFrames);
}

}  // namespace
}  // namespace pollux::test
