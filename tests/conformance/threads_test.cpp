// SPDX-License-Identifier: BSD-3-Clause
// One thread polls a port while another controls it.
#include <algorithm>
#include <atomic>
#include <span>
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
    const auto moved = wait_until(context_->clock(), "the sending of the frames", std::chrono::seconds(20), [&] {
      pass_time();
      return poller.made() > made;
    });
    EXPECT_TRUE(moved);
  }
  /// The frames that found an Intel card's packet buffer full.
  [[nodiscard]] static std::uint64_t missed_by_buffer(Port& port) {
    for (const Counter& counter : port.extended_stats()) {
      if (counter.name == "rx_missed_packet_buffer") return counter.value;
    }
    return 0;
  }
};

CONFORMANCE_TEST_WHERE(Threads, StopsAndStartsWhileAnotherThreadPolls, traits.two_ports()) {
  pollux::Settings own = config(*pool_);  // queues have caches of their own
  start_both(own, own);
  Poller poller(left(), right(), *pool_);
  for (int round = 0; round < 3; ++round) {
    wait_for_progress(poller);
    stop_both();
    start_again();
  }
  wait_for_progress(poller);
  ASSERT_TRUE(right().stop());
  ASSERT_TRUE(left().stop());
  poller.end();
  const Stats sent = left().stats();
  const Stats received = right().stats();
  EXPECT_EQ(sent.tx_burst_packets, poller.made());
  EXPECT_EQ(received.rx_burst_packets, poller.received());
  const std::uint64_t accounted_sent = sent.tx_packets + dropped(left(), "tx_");
  // What arrives while the gate of a queue is closed may find its ring full. On a busy machine the card's packet buffer
  // fills up, too; rx_packets does not include what is missed then.
  const std::uint64_t accounted_received =
      received.rx_burst_packets + dropped(right(), "rx_") + received.rx_missed_errors - missed_by_buffer(right());
  if (traits().registers != 0) {
    // A reset loses frames inside the card, and the card does not count them. So check only that none counts twice.
    EXPECT_LE(accounted_sent, sent.tx_burst_packets);
    EXPECT_LE(accounted_received, received.rx_packets);
  } else {
    EXPECT_EQ(accounted_sent, sent.tx_burst_packets);
    EXPECT_EQ(accounted_received, received.rx_packets);
  }
}

CONFORMANCE_TEST(Threads, AllowsAnyThreadToReadCounters) {
  pollux::Settings own = config(*pool_);
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
  pollux::Settings own = config(*pool_);
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

/// A thread that sends numbered frames on a queue that it shares with others.
class Sharer {
 public:
  static constexpr std::uint32_t kFrames = 200;

  Sharer(SharedTxQueue& queue, const Mempool& pool, std::uint32_t first)
      : queue_(queue), cache_(pool, 64), first_(first) {
    thread_ = std::thread([this] { run(); });
  }
  Sharer(const Sharer&) = delete;
  Sharer& operator=(const Sharer&) = delete;
  ~Sharer() {
    end_.store(true, std::memory_order_relaxed);
    thread_.join();
  }
  /// Whether this is the frame that must arrive next. Counts it then.
  bool is_next(const Bytes& frame) {
    if (arrived_ == kFrames || frame != make_frame(64, first_ + arrived_)) return false;
    ++arrived_;
    seen_.store(arrived_, std::memory_order_release);
    return true;
  }
  [[nodiscard]] std::uint32_t arrived() const noexcept { return arrived_; }

 private:
  void run() {
    DropCounter unsent("unsent");
    for (std::uint32_t sent = 0; sent < kFrames && !end_.load(std::memory_order_relaxed);) {
      Burst<4> burst;
      const std::uint32_t count = std::min(4U, kFrames - sent);
      // Limits the frames in flight, so that a card has room for all.
      if (sent - seen_.load(std::memory_order_acquire) <= 8 && burst.fill(cache_, count)) {
        for (std::uint32_t i = 0; i < count; ++i) {
          const Bytes frame = make_frame(64, first_ + sent + i);
          std::copy(frame.begin(), frame.end(), burst[i].append(64));
        }
        sent += sent % 3 == 0 ? queue_.try_tx_burst(burst) : queue_.tx_burst(burst);
      }
      burst.drop(unsent, cache_);
      std::this_thread::yield();
    }
  }

  SharedTxQueue& queue_;
  MempoolCache cache_;
  std::uint32_t first_;
  std::uint32_t arrived_ = 0;
  std::atomic<std::uint32_t> seen_{0};
  std::atomic<bool> end_{false};
  std::thread thread_;
};

CONFORMANCE_TEST_WHERE(Threads, SeveralThreadsShareAQueue, traits.delivers && !traits.by_file && !traits.needs_relay) {
  pollux::Settings own = config(*pool_);
  start_both(own, own);
  auto shared = SharedTxQueue::create(left().tx(0), *pool_);
  ASSERT_TRUE(shared) << shared.error().message();
  DropCounter checked("checked");
  std::uint32_t strange = 0;
  {
    Sharer first(*shared, *pool_, 10'000);
    Sharer second(*shared, *pool_, 20'000);
    Sharer third(*shared, *pool_, 30'000);
    const auto arrived = wait_until(context_->clock(), "the frames of three threads", std::chrono::seconds(20), [&] {
      pass_time();
      Burst<32> burst;
      right().rx(0).rx_burst(burst);
      for (Mbuf& mbuf : burst) {
        const Bytes frame = content(mbuf);
        if (!first.is_next(frame) && !second.is_next(frame) && !third.is_next(frame)) ++strange;
      }
      burst.drop(checked);
      return first.arrived() + second.arrived() + third.arrived() == 3 * Sharer::kFrames;
    });
    EXPECT_TRUE(arrived) << first.arrived() << ", " << second.arrived() << ", " << third.arrived();
  }
  EXPECT_EQ(strange, 0u) << "each thread's frames arrive once and in order";
  EXPECT_EQ(left().stats().tx_burst_packets, 3u * Sharer::kFrames);
  shared->tx_done_cleanup();
}

/// A receiving thread that sleeps while no frames arrive.
class SleepingReceiver {
 public:
  SleepingReceiver(Port& port, Clock& clock, const Mempool& pool) : port_(port), clock_(clock), cache_(pool, 64) {
    thread_ = std::thread([this] { run(); });
  }
  SleepingReceiver(const SleepingReceiver&) = delete;
  SleepingReceiver& operator=(const SleepingReceiver&) = delete;
  ~SleepingReceiver() { end(); }

  void end() {
    end_.store(true);
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] std::uint64_t received() const noexcept { return received_.load(std::memory_order_acquire); }
  [[nodiscard]] std::uint64_t wakeups() const noexcept { return wakeups_.load(std::memory_order_acquire); }
  [[nodiscard]] bool is_over() const noexcept { return is_over_.load(std::memory_order_acquire); }
  /// Frames that it received only after its wait had timed out: their wakeups were lost.
  [[nodiscard]] std::uint64_t late_frames() const noexcept { return late_frames_.load(std::memory_order_acquire); }

  void ask_to_end() noexcept { end_.store(true); }

 private:
  void run() {
    RxQueue& queue = port_.rx(0);
    DropCounter inspected("inspected");
    pollfd waiting{queue.event_fd(), POLLIN, 0};
    bool is_late = false;
    while (!end_.load()) {
      Burst<8> burst;
      if (const std::uint32_t count = queue.rx_burst(burst); count != 0) {
        if (is_late) late_frames_.fetch_add(count);
        received_.fetch_add(count, std::memory_order_release);
        burst.drop(inspected, cache_);
      } else if (queue.arm()) {
        // Longer than any test takes, so that only the port ends the wait.
        const Time until = clock_.now() + std::chrono::seconds(60);
        unsigned ready = 0;
        while (ready == 0 && clock_.now() < until) ready = clock_.wait({&waiting, 1}, until).value_or(1);
        wakeups_.fetch_add(1, std::memory_order_release);
        is_late = ready == 0;
        queue.disarm();
      }
    }
    is_over_.store(true, std::memory_order_release);
  }

  Port& port_;
  Clock& clock_;
  MempoolCache cache_;
  std::atomic<bool> end_{false};
  std::atomic<bool> is_over_{false};
  std::atomic<std::uint64_t> received_{0};
  std::atomic<std::uint64_t> wakeups_{0};
  std::atomic<std::uint64_t> late_frames_{0};
  std::thread thread_;
};

CONFORMANCE_TEST_WHERE(Threads, WakesAWaitingReceiverForEachFrame,
                       traits.delivers && !traits.by_file && !traits.needs_relay) {
  pollux::Settings own = config(*pool_);
  start_both(own, own);
  if (right().rx(0).event_fd() < 0) return;
  SleepingReceiver receiver(right(), context_->clock(), *pool_);
  MempoolCache cache(*pool_, 64);
  constexpr std::uint32_t kFrames = 500;
  for (std::uint32_t number = 0; number < kFrames; ++number) {
    // In some rounds the receiver already sleeps when the frame is sent; in others it is about to sleep.
    const bool waits = number % 3 != 0;
    const auto came = wait_until(
        context_->clock(), "the receipt of all frames", std::chrono::seconds(30),
        [&] { return !waits || receiver.received() == number; }, std::chrono::microseconds(number % 7));
    ASSERT_TRUE(came) << "frame " << number;
    Burst<1> burst;
    ASSERT_TRUE(burst.fill(cache, 1));
    const Bytes frame = make_frame(64, number);
    std::copy(frame.begin(), frame.end(), burst[0].append(64));
    ASSERT_EQ(left().tx(0).tx_burst(burst), 1U);
  }
  EXPECT_TRUE(wait_until(context_->clock(), "the last frame", std::chrono::seconds(30),
                         [&] { return receiver.received() == kFrames; }));
  EXPECT_EQ(receiver.late_frames(), 0U);
  EXPECT_GT(receiver.wakeups(), 0U);
  receiver.ask_to_end();
  ASSERT_TRUE(right().stop());  // wakes it
  receiver.end();
}

CONFORMANCE_TEST(Threads, AStopWakesAWaitingReceiver) {
  pollux::Settings own = config(*pool_);
  start_both(own, own);
  if (right().rx(0).event_fd() < 0 || pair().right == "null:?rx=64") return;
  for (int round = 0; round < 20; ++round) {
    SleepingReceiver receiver(right(), context_->clock(), *pool_);
    if (round % 2 == 0) context_->clock().sleep_for(std::chrono::milliseconds(1));
    receiver.ask_to_end();
    ASSERT_TRUE(right().stop());
    EXPECT_TRUE(wait_until(context_->clock(), "the receiver's end", std::chrono::seconds(30),
                           [&] { return receiver.is_over(); }))
        << "round " << round;
    receiver.end();
    ASSERT_TRUE(right().start());
  }
}

/// Counts without atomics, so that ThreadSanitizer reports a race if a call is still running after the detach.
class PlainCounter final : public RxObserver, public TxObserver {
 public:
  void received(const RxQueue&, std::span<Mbuf* const> frames) noexcept override { frames_ += frames.size(); }
  void sending(const TxQueue&, std::span<Mbuf* const>) noexcept override {}
  void sent(const TxQueue&, std::uint32_t count) noexcept override { frames_ += count; }
  [[nodiscard]] std::uint64_t frames() const noexcept { return frames_; }

 private:
  std::uint64_t frames_ = 0;
};

CONFORMANCE_TEST(Threads, ObserversAreAttachedAndDetachedWhileAnotherThreadPolls) {
  pollux::Settings own = config(*pool_);
  start_both(own, own);
  PlainCounter all;
  ASSERT_TRUE(left().attach_observer(0, static_cast<TxObserver&>(all)));
  const std::uint64_t before = left().stats().tx_burst_packets;
  Poller poller(left(), right(), *pool_);
  for (int round = 0; round < 10; ++round) {
    PlainCounter received;
    ASSERT_TRUE(right().attach_observer(0, static_cast<RxObserver&>(received)));
    wait_for_progress(poller);
    ASSERT_TRUE(right().detach_observer(0, static_cast<RxObserver&>(received)));
    const std::uint64_t seen = received.frames();
    EXPECT_LE(seen, poller.received() + 8);
    pass_time();
    EXPECT_EQ(received.frames(), seen);
  }
  ASSERT_TRUE(left().detach_observer(0, static_cast<TxObserver&>(all)));
  const std::uint64_t seen = all.frames();
  poller.end();
  EXPECT_GT(seen, 0U);
  EXPECT_LE(before + seen, left().stats().tx_burst_packets);
}

}  // namespace
}  // namespace pollux::conformance
