// SPDX-License-Identifier: BSD-3-Clause
// One thread polls a port while another controls it.
#include <algorithm>
#include <atomic>
#include <thread>

#include "conformance/fixture.hpp"

namespace pollux::conformance {
namespace {

/// A thread that sends on one port and receives on the other, with its own cache, until it is told to end.
class Poller {
 public:
  Poller(Port& left, Port& right, const Mempool& pool) : left_(left), right_(right), cache_(pool, 64) {
    thread_ = std::thread([this] { run(); });
  }
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller() { end(); }

  void end() {
    end_.store(true, std::memory_order_relaxed);
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] std::uint64_t made() const noexcept { return made_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t received() const noexcept { return received_.load(std::memory_order_relaxed); }

 private:
  void run() {
    const Bytes frame = make_frame(100, 1);
    DropCounter unsent("unsent");
    DropCounter checked("checked");
    while (!end_.load(std::memory_order_relaxed)) {
      Burst<8> burst;
      if (burst.fill(cache_, 8)) {
        for (Mbuf& mbuf : burst) std::copy(frame.begin(), frame.end(), mbuf.append(100));
        made_.fetch_add(left_.tx(0).tx_burst(burst), std::memory_order_relaxed);
      }
      burst.drop(unsent, cache_);
      left_.tx(0).tx_done_cleanup();
      right_.rx(0).rx_burst(burst);
      received_.fetch_add(burst.size(), std::memory_order_relaxed);
      burst.drop(checked, cache_);
      std::this_thread::yield();
    }
  }

  Port& left_;
  Port& right_;
  MempoolCache cache_;
  std::atomic<bool> end_{false};
  std::atomic<std::uint64_t> made_{0};
  std::atomic<std::uint64_t> received_{0};
  std::thread thread_;
};

class Threads : public Conformance {
 protected:
  void wait_for_progress(const Poller& poller) {
    const std::uint64_t made = poller.made();
    const auto moved = wait_until(context_->clock(), "frames' being sent", std::chrono::seconds(20), [&] {
      pass_time();
      return poller.made() > made;
    });
    EXPECT_TRUE(moved);
  }
};

CONFORMANCE_TEST(Threads, StopsAndStartsWhileAnotherThreadPolls) {
  PortConfig own = config(*pool_);  // queues have caches of their own
  start_both(own, own);
  Poller poller(left(), right(), *pool_);
  for (int round = 0; round < 3; ++round) {
    wait_for_progress(poller);
    ASSERT_TRUE(left().stop());
    ASSERT_TRUE(right().stop());
    ASSERT_TRUE(left().start());
    ASSERT_TRUE(right().start());
    wait_for_links();
  }
  wait_for_progress(poller);
  ASSERT_TRUE(right().stop());
  ASSERT_TRUE(left().stop());
  poller.end();
  const Stats sent = left().stats();
  const Stats received = right().stats();
  EXPECT_EQ(sent.tx_burst_packets, poller.made());
  EXPECT_EQ(received.rx_burst_packets, poller.received());
  if (traits().registers != 0) return;  // a reset of the card loses frames in flight without counting them
  EXPECT_EQ(sent.tx_burst_packets, sent.tx_packets + dropped(left(), "tx_"));
  EXPECT_EQ(received.rx_packets, received.rx_burst_packets + dropped(right(), "rx_"));
}

CONFORMANCE_TEST(Threads, AllowsAnyThreadToReadCounters) {
  PortConfig own = config(*pool_);
  start_both(own, own);
  Poller poller(left(), right(), *pool_);
  std::uint64_t last = 0;
  for (int i = 0; i < 50; ++i) {
    const Stats stats = left().stats();
    EXPECT_GE(stats.tx_burst_packets, last);
    last = stats.tx_burst_packets;
    static_cast<void>(right().extended_stats());
    static_cast<void>(right().link());
    pass_time();
  }
  wait_for_progress(poller);
  poller.end();
  EXPECT_GE(left().stats().tx_burst_packets, last);
}

CONFORMANCE_TEST_WHERE(Threads, ReceivesOnOneThreadWhatAnotherSends,
                       traits.delivers && !traits.by_file && !traits.needs_relay) {
  PortConfig own = config(*pool_);
  start_both(own, own);
  constexpr std::uint32_t kFrames = 2000;
  std::atomic<std::uint32_t> received{0};
  std::atomic<bool> over{false};
  std::thread sender([&] {
    MempoolCache cache(*pool_, 64);
    for (std::uint32_t number = 0; number < kFrames && !over; ++number) {
      // Limits the frames in flight, so that a card has room for all.
      while (number - received.load(std::memory_order_acquire) > 24 && !over) std::this_thread::yield();
      Burst<1> burst;
      if (!burst.fill(cache, 1)) {
        ADD_FAILURE() << "the pool is exhausted";
        break;
      }
      const Bytes frame = make_frame(64, number);
      std::copy(frame.begin(), frame.end(), burst[0].append(64));
      while (left().tx(0).tx_burst(burst) == 0 && !over) std::this_thread::yield();
      DropCounter unsent("unsent");
      burst.drop(unsent, cache);
    }
  });
  const Duration deadline = context_->clock().now() + std::chrono::seconds(60);
  DropCounter checked("checked");
  bool in_order = true;
  for (std::uint32_t expected = 0; expected < kFrames && in_order && context_->clock().now() < deadline;) {
    Burst<32> burst;
    if (right().rx(0).rx_burst(burst) == 0) std::this_thread::yield();
    for (Mbuf& mbuf : burst) in_order = in_order && content(mbuf) == make_frame(64, expected++);
    burst.drop(checked);
    received.store(expected, std::memory_order_release);
  }
  over = true;
  sender.join();
  EXPECT_TRUE(in_order) << "near frame " << received;
  EXPECT_EQ(received, kFrames);
}

}  // namespace
}  // namespace pollux::conformance
