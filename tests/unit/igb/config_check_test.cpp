// SPDX-License-Identifier: BSD-3-Clause
#include "net/config_check.hpp"
#include "net/settings_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/queue/queue_port.hpp"
#include "mem/context_state.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

using testing::HasSubstr;

struct Pools {
  Context context{{.huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  Context other{{.huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  Mempool pool = Mempool::create(context, {.count = 4096, .name = "plain"}).value();
  Mempool small = Mempool::create(context, {.count = 100, .name = "few"}).value();
  Mempool tight = Mempool::create(context, {.count = 512, .data_room = 1000, .headroom = 0, .name = "tight"}).value();
  Mempool kibibyte = Mempool::create(context, {.count = 512, .data_room = 1024, .headroom = 0, .name = "1k"}).value();
  Mempool foreign = Mempool::create(other, {.count = 4096, .name = "foreign"}).value();
  MempoolCache cache{pool};
  MempoolCache cache_of_small{small};
  MempoolCache cache_of_foreign{foreign};

  PortInfo port = intel::describe_port(*IgbFixture().device(), "igb", "82576", {}, 0,
                                       intel::queue_limits(hw::igb::kRxQueues, max_mtu(hw::igb::kCards[0])));

  [[nodiscard]] Result<PlacedQueues> check(const Settings& wanted) const {
    auto queues = place_queues(wanted, port, *context.state());
    if (!queues) return queues;
    PlacedSettings placed{wanted};
    placed.queues = *queues;
    if (auto fits = check_mtu(placed, port); !fits) return pass_on(std::move(fits));
    return queues;
  }
};

/// A rejected configuration.
struct BadConfig {
  const char* name;
  void (*change)(Settings& config, const Pools& pools);
  const char* what;  ///< part of the message: the value and its range
  const char* hint;
};

class RejectedConfigs : public testing::TestWithParam<BadConfig> {};

TEST_P(RejectedConfigs, NameTheValueAndItsRange) {
  const Pools pools;
  Settings config{.rx = {{.pool = pools.pool}}};
  ASSERT_TRUE(pools.check(config));
  GetParam().change(config, pools);
  const auto valid = pools.check(config);
  ASSERT_FALSE(valid);
  EXPECT_EQ(valid.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(valid.error().what, HasSubstr("sim:0: "));
  EXPECT_THAT(valid.error().what, HasSubstr(GetParam().what));
  EXPECT_THAT(valid.error().hint, HasSubstr(GetParam().hint));
}

INSTANTIATE_TEST_SUITE_P(
    All, RejectedConfigs,
    testing::Values(
        BadConfig{"too_many_rx_queues", [](Settings& c, const Pools&) { c.rx.resize(17, c.rx[0]); },
                  "17 receive queues are outside 0 to 16", "16"},
        BadConfig{"too_many_tx_queues", [](Settings& c, const Pools&) { c.tx.resize(65535, c.tx[0]); },
                  "65535 transmit queues are outside 0 to 16", "16"},
        BadConfig{"no_queue",
                  [](Settings& c, const Pools&) {
                    c.rx.clear();
                    c.tx.clear();
                  },
                  "both empty", "at least one"},
        BadConfig{"cache_without_its_pool",
                  [](Settings& c, const Pools& p) {
                    c.rx[0].pool = {};
                    c.rx[0].cache = c.tx[0].cache = p.cache;
                  },
                  "rx[0].cache belongs to pool 'plain', but rx[0].pool is not set", "rx[0].pool"},
        BadConfig{"rx_ring_one", [](Settings& c, const Pools&) { c.rx[0].ring = 1; },
                  "rx[0].ring = 1 is not a power of two from 8 to 4096", "nearest is 8"},
        BadConfig{"rx_ring_odd", [](Settings& c, const Pools&) { c.rx[0].ring = 500; }, "rx[0].ring = 500",
                  "nearest is 512"},
        BadConfig{"rx_ring_multiple_of_8", [](Settings& c, const Pools&) { c.rx[0].ring = 24; }, "rx[0].ring = 24",
                  "nearest is 32"},
        BadConfig{"tx_ring_small", [](Settings& c, const Pools&) { c.tx[0].ring = 4; }, "tx[0].ring = 4",
                  "nearest is 8"},
        BadConfig{"tx_ring_large", [](Settings& c, const Pools&) { c.tx[0].ring = 8192; }, "tx[0].ring = 8192",
                  "nearest is 4096"},
        BadConfig{"tx_ring_huge", [](Settings& c, const Pools&) { c.tx[0].ring = 0xFFFFFFFF; },
                  "tx[0].ring = 4294967295", "nearest is 4096"},
        BadConfig{"mtu_small", [](Settings& c, const Pools&) { c.mtu = 67; }, "mtu = 67 is outside 68 to 9706", "9728"},
        BadConfig{"mtu_large", [](Settings& c, const Pools&) { c.mtu = 9707; }, "mtu = 9707 is outside 68 to 9706",
                  "9728"},
        BadConfig{"mtu_huge", [](Settings& c, const Pools&) { c.mtu = 0xFFFFFFFF; }, "outside 68 to 9706", "9728"},
        BadConfig{"jumbo_in_tiny_ring",
                  [](Settings& c, const Pools& p) {
                    c.rx[0].pool = p.kibibyte;
                    c.rx[0].ring = 8;
                    c.mtu = 9000;
                  },
                  "a frame of 9018 bytes does not fit receive queue 0, which has ring = 8 and buffers of 1024",
                  "larger ring"},
        BadConfig{"pool_too_small", [](Settings& c, const Pools& p) { c.rx[0].pool = p.small; },
                  "pool 'few' has 100 mbufs, 1 receive ring needs 512", "more than 512"},
        BadConfig{"pool_too_small_for_many",
                  [](Settings& c, const Pools&) {
                    c.rx[0].ring = 512;
                    c.rx.resize(16, c.rx[0]);
                  },
                  "pool 'plain' has 4096 mbufs, 16 receive rings need 8192", "more than 8192"},
        BadConfig{"rx_of_one_queue_ring",
                  [](Settings& c, const Pools&) {
                    c.rx.resize(2, c.rx[0]);
                    c.rx[1].ring = 100;
                  },
                  "rx[1].ring = 100 is not a power of two", "nearest is 128"},
        BadConfig{"tx_of_one_queue_ring", [](Settings& c, const Pools&) { c.tx[0].ring = 4; }, "tx[0].ring = 4",
                  "nearest is 8"},
        BadConfig{"rx_of_one_queue_cache_of_another_pool",
                  [](Settings& c, const Pools& p) { c.rx[0].cache = p.cache_of_small; },
                  "rx[0].cache belongs to pool 'few' and the queue to 'plain'", "rx[0].pool"},
        BadConfig{"rx_of_one_queue_foreign_pool", [](Settings& c, const Pools& p) { c.rx[0].pool = p.foreign; },
                  "rx[0].pool: pool 'foreign' belongs to another Context", "port's Context"},
        BadConfig{"tx_of_one_queue_foreign_cache",
                  [](Settings& c, const Pools& p) { c.tx[0].cache = p.cache_of_foreign; },
                  "tx[0].cache: its pool 'foreign' belongs to another Context", "port's Context"},
        BadConfig{"rx_of_one_queue_pool_too_small",
                  [](Settings& c, const Pools& p) {
                    c.rx.resize(3, c.rx[0]);
                    c.rx[1] = c.rx[2] = {.pool = p.small, .ring = 64};
                  },
                  "pool 'few' has 100 mbufs, 2 receive rings need 128", "more than 128"},
        BadConfig{"rx_of_one_queue_with_small_buffers",
                  [](Settings& c, const Pools& p) {
                    c.rx.resize(2, c.rx[0]);
                    c.rx[1] = {.pool = p.kibibyte, .ring = 8};
                    c.mtu = 9000;
                  },
                  "does not fit receive queue 1, which has ring = 8 and buffers of 1024", "larger ring"},
        BadConfig{"buffer_too_small", [](Settings& c, const Pools& p) { c.rx[0].pool = p.tight; },
                  "a buffer too small for receive queue 0", "at least 1,024"},
        BadConfig{"foreign_pool", [](Settings& c, const Pools& p) { c.rx[0].pool = p.foreign; },
                  "pool 'foreign' belongs to another Context", "port's Context"},
        BadConfig{"cache_of_another_pool",
                  [](Settings& c, const Pools& p) { c.rx[0].cache = c.tx[0].cache = p.cache_of_small; },
                  "pool 'few' and the queue to 'plain'", "rx[0].pool"},
        BadConfig{"foreign_cache",
                  [](Settings& c, const Pools& p) {
                    c.rx.clear();
                    c.tx[0].cache = p.cache_of_foreign;
                  },
                  "pool 'foreign' belongs to another Context", "port's Context"}),
    [](const auto& bad) { return std::string(bad.param.name); });

TEST(ConfigCheck, AcceptsWhatTheCardSupports) {
  const Pools pools;
  for (const std::uint32_t ring : {8u, 16u, 512u, 4096u}) {
    const auto valid = pools.check({.rx = {{.pool = pools.pool, .ring = ring}}, .tx = {{.ring = ring}}, .mtu = 1500});
    ASSERT_TRUE(valid) << valid.error().message();
    ASSERT_EQ(valid->rx.size(), 1U);
    EXPECT_EQ(valid->rx[0].ring, ring);
    EXPECT_EQ(valid->tx[0].ring, ring);
  }
  EXPECT_TRUE(pools.check({.rx = {}, .tx = std::vector<TxQueueConfig>(16)})) << "sending needs no pool";
  EXPECT_TRUE(pools.check({.rx = {16, {.pool = pools.pool, .ring = 256}}, .tx = {}}));
  EXPECT_TRUE(pools.check({.rx = {{.pool = pools.pool, .cache = pools.cache}},
                           .tx = {{.cache = pools.cache}},
                           .mtu = max_mtu(hw::igb::kCards[0])}));
  EXPECT_TRUE(pools.check({.rx = {{.pool = pools.pool}}, .mtu = kMinMtu}));
}

TEST(ConfigCheck, PlansAPoolIfNoneIsGiven) {
  const Pools pools;
  const auto valid = pools.check({.rx = {{.ring = 8}}, .tx = {{.ring = 8}}, .mtu = max_mtu(hw::igb::kCards[0])});
  ASSERT_TRUE(valid) << valid.error().message();
  EXPECT_EQ(valid->rx[0].pool, nullptr);
  ASSERT_TRUE(valid->own_pool);
  EXPECT_EQ(valid->own_pool->count, 8U + 512 + 8 + 64 + 2048);
  EXPECT_EQ(valid->rx[0].buffer_bytes, 2048U);
  EXPECT_FALSE(pools.check({.rx = {{.pool = pools.pool}}})->own_pool);
  EXPECT_FALSE(pools.check({.rx = {}})->own_pool);
}

TEST(ConfigCheck, UsesBuffersInWholeKib) {
  const Pools pools;
  const auto plain = pools.check({.rx = {{.pool = pools.pool}}});
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->rx[0].buffer_bytes, 2048u);
  EXPECT_EQ(usable_buffer_bytes(1023, pools.port.limits), 0u);
  EXPECT_EQ(usable_buffer_bytes(3071, pools.port.limits), 2048u);
  EXPECT_EQ(usable_buffer_bytes(1u << 20, pools.port.limits), 127u * 1024);
}

TEST(ConfigCheck, FillsInTheDefaultsOfEachQueue) {
  const Pools pools;
  const auto valid = pools.check({.rx = {{.pool = pools.pool, .ring = 64},
                                         {.pool = pools.pool, .cache = pools.cache, .ring = 256},
                                         {.pool = pools.kibibyte, .ring = 32}},
                                  .tx = {{.cache = pools.cache, .ring = 128}, {.ring = 16}}});
  ASSERT_TRUE(valid) << valid.error().message();
  ASSERT_EQ(valid->rx_queues(), 3);
  EXPECT_EQ(valid->rx[0].ring, 64U);
  EXPECT_EQ(valid->rx[0].pool, pools.pool.core());
  EXPECT_EQ(valid->rx[0].cache, nullptr);
  EXPECT_EQ(valid->rx[1].ring, 256U);
  EXPECT_EQ(valid->rx[1].cache, pools.cache.core());
  EXPECT_EQ(valid->rx[2].ring, 32U);
  EXPECT_EQ(valid->rx[2].pool, pools.kibibyte.core());
  EXPECT_EQ(valid->rx[2].buffer_bytes, 1024U);
  EXPECT_EQ(valid->tx[0].ring, 128U);
  EXPECT_EQ(valid->tx[0].cache, pools.cache.core());
  EXPECT_EQ(valid->tx[1].ring, 16U);
  EXPECT_EQ(valid->tx[1].cache, nullptr);
  EXPECT_EQ(valid->queues_of(pools.pool.core().get()), 2U);
  EXPECT_EQ(valid->descriptors_of(pools.pool.core().get()), 320U);
  EXPECT_FALSE(valid->own_pool);
}

TEST(ConfigCheck, PlansAPoolForTheQueuesThatHaveNone) {
  const Pools pools;
  const auto valid = pools.check({.rx = {{.ring = 64}, {.pool = pools.pool, .ring = 512}}, .tx = {{.ring = 32}}});
  ASSERT_TRUE(valid) << valid.error().message();
  ASSERT_TRUE(valid->own_pool);
  EXPECT_EQ(valid->own_pool->count, 64U + 512 + 32 + 64 + 2048);
  EXPECT_EQ(valid->rx[0].pool, nullptr);
  EXPECT_EQ(valid->rx[1].pool, pools.pool.core());
}

TEST(ConfigCheck, NearestRing) {
  const PortLimits limits = intel::queue_limits(hw::igb::kRxQueues, max_mtu(hw::igb::kCards[0]));
  EXPECT_EQ(nearest_ring(0, limits), 8u);
  EXPECT_EQ(nearest_ring(11, limits), 8u);
  EXPECT_EQ(nearest_ring(12, limits), 16u);
  EXPECT_EQ(nearest_ring(1000, limits), 1024u);
  EXPECT_EQ(nearest_ring(0xFFFFFFFF, limits), 4096u);
}

TEST(ConfigCheck, RingsMayBeMultiples) {
  const PortLimits limits{.min_ring = 64, .max_ring = 4032, .ring_multiple = 32};
  EXPECT_EQ(nearest_ring(1, limits), 64U);
  EXPECT_EQ(nearest_ring(500, limits), 512U);
  EXPECT_EQ(nearest_ring(495, limits), 480U);
  EXPECT_EQ(nearest_ring(5000, limits), 4032U);
  PortInfo port;
  port.name = "fast:0";
  port.limits = limits;
  EXPECT_TRUE(check_ring("rx.", 96, port));
  const auto refused = check_ring("rx.", 100, port);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().what, "fast:0: rx.ring = 100 is not a multiple of 32 from 64 to 4032");
  EXPECT_EQ(refused.error().hint, "the nearest is 96");
  EXPECT_FALSE(check_ring("rx.", 0, port));
}

TEST(ConfigCheck, ARejectedConfigurationChangesNothing) {
  IgbFixture fixture;
  auto port = fixture.open();
  ASSERT_NE(port, nullptr);
  Settings good = fixture.config();
  good.tx.resize(2, good.tx[0]);
  good.mtu = 1400;
  ASSERT_TRUE(test::configure_port(*port, good));
  const std::size_t writes = fixture.faults->writes.size();
  Settings bad = fixture.config();
  bad.rx[0].ring = 100;
  EXPECT_FALSE(test::configure_port(*port, bad));
  EXPECT_EQ(port->state(), PortState::configured);
  EXPECT_EQ(port->settings().mtu, 1400u);
  EXPECT_NE(port->tx_queue(1), nullptr);
  EXPECT_EQ(fixture.faults->writes.size(), writes);
  EXPECT_TRUE(port->start());
}

}  // namespace
}  // namespace pollux::drivers::igb
