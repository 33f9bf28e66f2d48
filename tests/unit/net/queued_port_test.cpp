// SPDX-License-Identifier: BSD-3-Clause
// What a driver gets from QueuedPort, RxQueue and TxQueue: a port that receives what a test puts in.
#include "pollux/net/queued_port.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/port_machine.hpp"
#include "pollux/pollux.hpp"
#include "support/settings_edits.hpp"

namespace pollux {
namespace {

constexpr std::array kRxDrops{&RxDrops::filtered};

class PutQueue final : public RxQueueDriver {
 public:
  explicit PutQueue(const RxFilter& filter) : RxQueueDriver(&burst, &filter) { allow_sleeping(); }

  /// A broadcast of 60 bytes arrives.
  void put() {
    ++waiting_;
    wake();
  }
  /// The next burst drops a frame for a reason that the driver does not list.
  void lose() { count_drop(&RxDrops::error); }

 private:
  static std::uint32_t burst(RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
    auto& queue = static_cast<PutQueue&>(base);
    const std::array<std::uint8_t, 60> bytes{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2};
    std::uint32_t count = 0;
    for (; count < limit && queue.waiting_ != 0; --queue.waiting_) {
      if (!queue.admit(bytes.data(), bytes.size())) continue;
      MbufPtr frame = queue.copy(bytes);
      if (frame == nullptr) break;
      out[count++] = frame.release();
    }
    queue.count_returned(count);
    return count;
  }
  [[nodiscard]] bool watch() noexcept override { return waiting_ == 0; }

  std::atomic<std::uint32_t> waiting_{0};
};

class SinkQueue final : public TxQueueDriver {
 public:
  SinkQueue() : TxQueueDriver(&burst) {}

 private:
  static std::uint32_t burst(TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
    auto& queue = static_cast<SinkQueue&>(base);
    for (std::uint32_t i = 0; i < count; ++i) {
      if (queue.reject(mbufs[i])) continue;
      queue.count_sent(mbufs[i]->packet_length());
      queue.give_back(*mbufs[i]);
    }
    queue.count_taken(count);
    return count;
  }
};

class PutPort final : public QueuedPort {
 public:
  PutPort(std::shared_ptr<ContextState> context, std::uint16_t index)
      : QueuedPort(std::move(context),
                   {.name = "put:",
                    .driver = "put",
                    .card = "a test",
                    .backend = "test",
                    .index = index,
                    .limits = software_limits(1, 1, 1500),
                    .offloads = software_offloads(0)},
                   {.rx = kRxDrops}),
        rx(filter_) {
    add(rx);
    add(tx_);
  }
  [[nodiscard]] MacAddress permanent_mac() const override { return {2, 0, 0, 0, 0, 1}; }
  [[nodiscard]] Result<void> start() override { return apply(nullptr, settings()); }
  [[nodiscard]] Result<void> halt() override { return {}; }
  [[nodiscard]] Result<void> apply(const PlacedSettings*, const PlacedSettings& to) override {
    filter_.set_mtu(to.mtu);
    return {};
  }
  [[nodiscard]] Link link() override { return {.up = true}; }
  [[nodiscard]] Result<Duration> service() override { return Duration(std::chrono::seconds(1)); }
  [[nodiscard]] Result<void> release(bool) override { return {}; }

 private:
  RxFilter filter_;

 public:
  PutQueue rx;

 private:
  SinkQueue tx_;
};

class QueuedPortTest : public testing::Test {
 protected:
  QueuedPortTest() {
    auto driver = std::make_unique<PutPort>(context_.state(), context_.state()->take_port_index());
    driver_ = driver.get();
    port_ = std::make_unique<PortMachine>(context_.state(), std::move(driver));
  }
  void start(const Settings& config = {}) {
    auto configured = test::configure_port(*port_, config);
    ASSERT_TRUE(configured) << configured.error().message();
    ASSERT_TRUE(port_->start());
  }
  [[nodiscard]] std::uint64_t drops(const std::string& name) {
    for (const Counter& drop : port_->stats().drops) {
      if (drop.name == name) return drop.value;
    }
    return ~std::uint64_t{0};
  }
  [[nodiscard]] std::uint32_t poll() {
    Burst<8> burst;
    return port_->rx_queue(0)->rx_burst(burst);
  }
  [[nodiscard]] bool is_awake() const {
    pollfd waiting{port_->rx_queue(0)->event_fd(), POLLIN, 0};
    return ::poll(&waiting, 1, 0) == 1;
  }

  Context context_{{.huge_pages = HugePages::never}};
  std::unique_ptr<PortMachine> port_;
  PutPort* driver_;
};

TEST_F(QueuedPortTest, CountsWhatItsQueuesReceiveAndSend) {
  start({.count_bytes = true});
  driver_->rx.put();
  driver_->rx.put();
  Burst<8> burst;
  ASSERT_EQ(port_->rx_queue(0)->rx_burst(burst), 2U);
  EXPECT_EQ(burst[0].port(), port_->info().index);
  ASSERT_EQ(port_->tx_queue(0)->tx_burst(burst), 2U);
  const Stats stats = port_->stats();
  EXPECT_EQ(stats.rx_packets, 2U);
  EXPECT_EQ(stats.rx_bytes, 120U);
  EXPECT_EQ(stats.multicast, 0U) << "broadcasts";
  EXPECT_EQ(stats.tx_packets, 2U);
  EXPECT_EQ(stats.rx_burst_packets, 2U);
  EXPECT_EQ(stats.tx_burst_packets, 2U);
  ASSERT_EQ(stats.rx_queues.size(), 1U);
  EXPECT_EQ(stats.rx_queues[0].bytes, 120U);
}

TEST_F(QueuedPortTest, FillsAndTakesArraysThatTheCallerOwns) {
  start();
  for (int i = 0; i < 3; ++i) driver_->rx.put();
  std::array<Mbuf*, 4> mbufs{};
  EXPECT_EQ(port_->rx_queue(0)->rx_burst(mbufs.data(), 0), 0U);
  ASSERT_EQ(port_->rx_queue(0)->rx_burst(mbufs.data(), 2), 2U);
  EXPECT_EQ(mbufs[2], nullptr) << "beyond the limit";
  ASSERT_EQ(port_->rx_queue(0)->rx_burst(&mbufs[2], 2), 1U);
  EXPECT_EQ(mbufs[3], nullptr);
  EXPECT_EQ(mbufs[2]->port(), port_->info().index);
  const MbufPtr kept(mbufs[2]);
  EXPECT_EQ(port_->tx_queue(0)->tx_burst(mbufs.data(), 2), 2U);
  EXPECT_EQ(port_->rx_pool(0)->stats().in_use(), 1U);
  EXPECT_EQ(port_->stats().tx_packets, 2U);
}

TEST_F(QueuedPortTest, MovesNoMoreThanABurstWhateverTheLengthOfAnArray) {
  auto pool = Mempool::create(context_, {.count = 2 * kMaxBurst});
  ASSERT_TRUE(pool);
  start({.rx = {{.pool = *pool}}});
  for (std::uint32_t i = 0; i < kMaxBurst + 2; ++i) driver_->rx.put();
  std::vector<Mbuf*> mbufs(kMaxBurst + 2);
  RxQueue& rx = *port_->rx_queue(0);
  TxQueue& tx = *port_->tx_queue(0);
  ASSERT_EQ(rx.rx_burst(mbufs.data(), ~0U), kMaxBurst);
  EXPECT_EQ(mbufs[kMaxBurst], nullptr);
  ASSERT_EQ(rx.rx_burst(&mbufs[kMaxBurst], 2), 2U);
  EXPECT_EQ(tx.tx_burst(mbufs.data(), kMaxBurst + 2), kMaxBurst);
  EXPECT_EQ(tx.tx_burst(&mbufs[kMaxBurst], 2), 2U);
  EXPECT_EQ(pool->stats().in_use(), 0U);
}

TEST_F(QueuedPortTest, NamesADropThatTheDriverDoesNotList) {
  start();
  EXPECT_EQ(drops("rx_filtered"), 0U);
  EXPECT_EQ(drops("tx_unreachable"), 0U) << "every port may have these";
  EXPECT_EQ(drops("rx_error"), ~std::uint64_t{0});
  driver_->rx.lose();
  EXPECT_EQ(drops("rx_error"), 1U);
  EXPECT_EQ(port_->stats().rx_dropped, 1U);
}

TEST_F(QueuedPortTest, WakesAThreadThatSleepsOnAQueue) {
  start();
  RxQueue& queue = *port_->rx_queue(0);
  static_cast<void>(queue.arm());  // the port has started
  ASSERT_TRUE(queue.arm());
  EXPECT_FALSE(is_awake());
  driver_->rx.put();
  EXPECT_TRUE(is_awake());
  queue.disarm();
  EXPECT_FALSE(queue.arm()) << "a frame waits";
  EXPECT_EQ(poll(), 1U);
  ASSERT_TRUE(queue.arm());
  ASSERT_TRUE(port_->stop());
  EXPECT_TRUE(is_awake());
  EXPECT_FALSE(queue.arm()) << "the port has stopped since the last call";
  EXPECT_TRUE(queue.arm()) << "a stopped queue";
  EXPECT_EQ(poll(), 0U);
}

TEST_F(QueuedPortTest, RestartsAQueueWithAnotherPool) {
  start();
  auto pool = Mempool::create(context_, {.count = 64});
  ASSERT_TRUE(pool);
  ASSERT_TRUE(test::restart_rx(*port_, 0, {.pool = *pool}));
  driver_->rx.put();
  Burst<8> burst;
  ASSERT_EQ(port_->rx_queue(0)->rx_burst(burst), 1U);
  const MempoolCache cache(*pool);
  EXPECT_TRUE(port_->rx_queue(0)->use_cache(cache));
  auto other = Mempool::create(context_, {.count = 64});
  ASSERT_TRUE(other);
  EXPECT_EQ(port_->rx_queue(0)->use_cache(MempoolCache(*other)).error().code, ErrorCode::invalid_argument);
}

TEST_F(QueuedPortTest, ReleasesItsPoolsWhenItIsClosed) {
  start();
  RxQueue& queue = *port_->rx_queue(0);
  auto pool = Mempool::create(context_, {.count = 64});
  ASSERT_TRUE(pool);
  ASSERT_TRUE(test::restart_rx(*port_, 0, {.pool = *pool}));
  ASSERT_TRUE(port_->close());
  EXPECT_EQ(pool->core().use_count(), 1);
  EXPECT_EQ(queue.use_cache(MempoolCache(*pool)).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace pollux
