// SPDX-License-Identifier: BSD-3-Clause
// Rate limits of transmit queues and pools.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>

#include "hw/intel/igb/phy.hpp"
#include "pollux/net/queue_pools.hpp"
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class TxRate : public testing::Test {
 protected:
  static constexpr std::size_t kBytes = 1'000;
  static constexpr std::size_t kWireBytes = kBytes + 24;  // FCS, preamble, gap

  [[nodiscard]] Result<void> limit(std::uint32_t megabits, std::uint16_t queue = 0) {
    return fixture_.port.change([&](Settings& settings) { settings.tx_rates[queue] = megabits; });
  }
  /// The megabits that the wire carries in one second while queue `queue` always has frames.
  [[nodiscard]] double measured(std::uint16_t queue = 0) {
    fixture_.clock->advance(milliseconds(100));
    fixture_.sent.clear();
    for (int step = 0; step < 1000; ++step) {
      Burst<32> burst;
      for (int i = 0; i < 32; ++i) {
        MbufPtr mbuf = fixture_.pool.allocate();
        if (mbuf == nullptr || mbuf->append(kBytes) == nullptr) break;
        EXPECT_TRUE(burst.push(mbuf));
      }
      fixture_.port.tx(queue).tx_burst(burst);
      burst = {};
      fixture_.clock->advance(std::chrono::microseconds(100));
    }
    return static_cast<double>(fixture_.sent.size() * kWireBytes * 8) / 0.1 / 1e6;
  }

  CardFixture fixture_{{.port = {.rx = {{.ring = 64}}, .tx = {2, {.ring = 64}}}}};
};

TEST_F(TxRate, IsHeldByOneQueueOnly) {
  ASSERT_TRUE(limit(50));
  EXPECT_EQ(rate_of(fixture_.port.settings().tx_rates, 0), 50u);
  EXPECT_NEAR(measured(0), 50, 1);
  EXPECT_GT(measured(1), 500);
  ASSERT_TRUE(limit(0));
  EXPECT_GT(measured(0), 500);
}

TEST_F(TxRate, OutlivesAResetAndAChangeOfSpeed) {
  ASSERT_TRUE(limit(40));
  ASSERT_TRUE(fixture_.port.stop());
  ASSERT_TRUE(fixture_.port.start());
  ASSERT_TRUE(fixture_.port.wait_for_link(seconds(5)));
  EXPECT_NEAR(measured(), 40, 1);
  fixture_.wire->set_carrier(false);
  ASSERT_TRUE(fixture_.port.service());
  fixture_.card.with([](models::igb::Card& card) {
    card.phy().set_partner({.abilities = hw::igb::phy::k100Full, .gigabit_half = false, .gigabit_full = false});
    return 0;
  });
  fixture_.wire->set_carrier(true);
  const auto link = fixture_.port.wait_for_link(seconds(5));
  ASSERT_TRUE(link);
  ASSERT_EQ(link->speed, 100u);
  EXPECT_NEAR(measured(), 40, 1);
}

// The card reports done only the last frame of a burst.
TEST_F(TxRate, ABurstThatAStopCutsIsCountedOnceFrameByFrame) {
  for (const bool whole_port : {true, false}) {
    ASSERT_TRUE(limit(1));
    Burst<32> burst;
    for (int i = 0; i < 32; ++i) {
      MbufPtr mbuf = fixture_.pool.allocate();
      ASSERT_TRUE(mbuf != nullptr && mbuf->append(kBytes) != nullptr);
      ASSERT_TRUE(burst.push(mbuf));
    }
    ASSERT_EQ(fixture_.port.tx(0).tx_burst(burst), 32u);
    fixture_.clock->advance(milliseconds(20));
    if (whole_port) {
      ASSERT_TRUE(fixture_.port.stop());
    } else {
      ASSERT_TRUE(restart_tx(fixture_.port, 0, {.ring = 128}));
    }
    const Stats stats = fixture_.port.stats();
    EXPECT_EQ(stats.tx_packets, fixture_.sent.size());
    EXPECT_LT(stats.tx_packets, stats.tx_burst_packets);
    EXPECT_EQ(stats.tx_burst_packets, stats.tx_packets + stats.tx_dropped);
    if (whole_port) {
      ASSERT_TRUE(fixture_.port.start());
      ASSERT_TRUE(fixture_.port.wait_for_link(seconds(5)));
    }
  }
}

class PoolTxRate : public TxRate {
 protected:
  /// Starts the port with two pools and so many transmit queues.
  void start(std::uint16_t queues, Duration tx_timeout = seconds(5), std::uint32_t mtu = 1'500) {
    if (fixture_.port.state() == PortState::started) {
      ASSERT_TRUE(fixture_.port.stop());
    }
    Settings config = fixture_.config;
    config.rx[0].pool = fixture_.pool;
    config.rx.resize(2, config.rx[0]);
    config.tx.resize(queues, config.tx[0]);
    config.tx_timeout = tx_timeout;
    config.mtu = mtu;
    ASSERT_TRUE(configure_port(fixture_.port, config));
    ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.pools = QueuePoolsConfig{.pools = {{}, {}}}; }));
    ASSERT_TRUE(fixture_.port.start());
    ASSERT_TRUE(fixture_.port.wait_for_link(seconds(5)));
  }
  [[nodiscard]] Result<void> limit_pool(std::uint32_t megabits, std::uint16_t pool = 0) {
    return fixture_.port.change([&](Settings& settings) { settings.pool_tx_rates[pool] = megabits; });
  }
};

TEST_F(PoolTxRate, IsHalvedBetweenTwoQueues) {
  start(9);
  ASSERT_TRUE(limit_pool(80));
  EXPECT_EQ(rate_of(fixture_.port.settings().pool_tx_rates, 0), 80u);
  EXPECT_NEAR(measured(0), 40, 1);
  EXPECT_NEAR(measured(8), 40, 1);
  EXPECT_GT(measured(1), 500) << "another pool";
  ASSERT_TRUE(limit(30, 8));
  EXPECT_NEAR(measured(8), 30, 1) << "its own limit is lower";
  EXPECT_NEAR(measured(0), 40, 1);
  ASSERT_TRUE(limit(60, 8));
  EXPECT_NEAR(measured(8), 40, 1) << "the pool's is";
  ASSERT_TRUE(limit_pool(0));
  EXPECT_NEAR(measured(8), 60, 1);
  EXPECT_GT(measured(0), 500);
}

TEST_F(PoolTxRate, IsThatOfItsOnlyQueueAndOutlivesARestart) {
  start(2);
  ASSERT_TRUE(limit_pool(50, 1));
  EXPECT_NEAR(measured(1), 50, 1);
  EXPECT_GT(measured(0), 500);
  start(10);
  EXPECT_NEAR(measured(1), 25, 1) << "the pool has two queues now";
  EXPECT_NEAR(measured(9), 25, 1);
}

// At 0.5 Mb/s a frame of 9,000 bytes takes 144 ms.
TEST_F(PoolTxRate, LongFramesAtALowRateAreNoHang) {
  start(9, milliseconds(100), 9'000);
  ASSERT_TRUE(limit_pool(1));
  for (int i = 0; i < 8; ++i) {
    MbufPtr head;
    for (int part = 0; part < 6; ++part) {
      MbufPtr mbuf = fixture_.pool.allocate();
      ASSERT_TRUE(mbuf != nullptr && mbuf->append(1'500) != nullptr);
      if (head == nullptr) {
        head = std::move(mbuf);
      } else {
        ASSERT_TRUE(head->chain(mbuf));
      }
    }
    Burst<1> burst;
    ASSERT_TRUE(burst.push(head));
    ASSERT_EQ(fixture_.port.tx(0).tx_burst(burst), 1u);
  }
  for (int look = 0; look < 100; ++look) {
    fixture_.clock->advance(milliseconds(20));
    ASSERT_TRUE(fixture_.port.service());
  }
  EXPECT_EQ(fixture_.sent.size(), 8u);
  EXPECT_EQ(fixture_.counter("tx_timeouts"), 0u);
}

TEST_F(PoolTxRate, NeedsThePool) {
  EXPECT_EQ(limit_pool(50).error().code, ErrorCode::invalid_argument) << "there are no pools";
  start(2);
  EXPECT_EQ(limit_pool(50, 2).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(limit_pool(1001).error().code, ErrorCode::invalid_argument);
  ASSERT_TRUE(limit_pool(50, 1));
  ASSERT_TRUE(fixture_.port.stop());
  const auto one_pool = [](Settings& settings) { settings.pools.pools.resize(1); };
  const auto refused = fixture_.port.change(one_pool);
  ASSERT_FALSE(refused) << "its limit would stay";
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(fixture_.port.change([&](Settings& settings) {
    one_pool(settings);
    settings.pool_tx_rates.clear();
  }));
  ASSERT_TRUE(fixture_.port.close());
  EXPECT_EQ(fixture_.port.change([](Settings& settings) { settings.pool_tx_rates[0] = 10; }).error().code,
            ErrorCode::bad_state);
}

TEST_F(TxRate, ThatCannotBeIsRejected) {
  EXPECT_EQ(limit(1001).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(limit(10, 16).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(rate_of(fixture_.port.settings().tx_rates, 0), 0u);
  ASSERT_TRUE(fixture_.port.close());
  EXPECT_EQ(fixture_.port.change([](Settings& settings) { settings.tx_rates[0] = 10; }).error().code,
            ErrorCode::bad_state);
}

}  // namespace
}  // namespace pollux::test
