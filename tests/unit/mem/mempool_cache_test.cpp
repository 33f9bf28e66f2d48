// SPDX-License-Identifier: BSD-3-Clause
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "mem/mempool_core.hpp"
#include "unit/mem/pool_fixture.hpp"

namespace pollux {
namespace {

TEST(MempoolCache, CapacityIsClampedToItsLimits) {
  test::PoolFixture fixture;
  const Mempool pool = fixture.pool({.count = 4000, .data_room = 64, .headroom = 0});
  EXPECT_EQ(MempoolCache(pool).core()->capacity, 500u) << "an eighth of the pool";
  EXPECT_EQ(MempoolCache(pool, 1).core()->capacity, 64u);
  EXPECT_EQ(MempoolCache(pool, 63).core()->capacity, 64u);
  EXPECT_EQ(MempoolCache(pool, 300).core()->capacity, 300u);
  EXPECT_EQ(MempoolCache(pool, 5000).core()->capacity, 1024u);
  EXPECT_EQ(MempoolCache(fixture.pool({.count = 10})).core()->capacity, 64u);
  EXPECT_EQ(MempoolCache(fixture.pool({.count = 20000, .data_room = 64, .headroom = 0})).core()->capacity, 1024u);
}

TEST(MempoolCache, StatsAreExactAtRest) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 1000, .data_room = 64, .headroom = 0});
  MempoolCache first(pool, 64);
  MempoolCache second(pool, 128);
  MbufPtr one = first.allocate();
  MbufPtr two = second.allocate();
  MbufPtr three = pool.allocate();
  const MempoolStats stats = pool.stats();
  EXPECT_EQ(stats.in_use(), 3u);
  EXPECT_EQ(stats.cached, first.core()->count() + second.core()->count());
  EXPECT_GT(stats.cached, 0u);
  EXPECT_EQ(stats.shared + stats.cached, 997u);
  first.free(std::move(two));
  EXPECT_EQ(pool.stats().in_use(), 2u) << "an mbuf may be freed to any cache of its pool";
}

TEST(MempoolCache, AnMbufOfAnotherContextIsFreedToItsPool) {
  test::PoolFixture here;
  test::PoolFixture there;
  Mempool own = here.pool({.count = 100});
  Mempool foreign = there.pool({.count = 100});  // each is the first pool of its Context
  MempoolCache cache(own, 64);
  cache.free(foreign.allocate());
  EXPECT_EQ(foreign.stats().shared, 100u);
  MbufPtr frame = foreign.allocate();
  EXPECT_EQ(frame->clone(cache), nullptr) << "a card of the cache's Context would read other memory";
  std::vector<MbufPtr> all;
  for (int i = 0; i < 100; ++i) all.push_back(cache.allocate());
  EXPECT_EQ(own.stats().in_use(), 100u);
  EXPECT_TRUE(here.misuses().empty() && there.misuses().empty());
}

// It runs in the middle of a drop, and may use the cache that frees the frame.
TEST(MempoolCache, WhatFreesExternalMemoryMayAllocateAndFree) {
  struct Owner {
    MempoolCache& cache;
    std::vector<MbufPtr> kept;
    unsigned calls = 0;
    static void free(void* opaque, std::uint8_t*) noexcept {
      Owner& self = *static_cast<Owner*>(opaque);
      ++self.calls;
      std::vector<MbufPtr> passing;
      for (int i = 0; i < 80; ++i) passing.push_back(self.cache.allocate());
      self.kept.push_back(std::move(passing.back()));
      for (MbufPtr& mbuf : passing) self.cache.free(std::move(mbuf));
    }
  };
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 1000, .data_room = 64, .headroom = 0});
  MempoolCache cache(pool, 64);
  Owner owner{cache, {}};
  DmaMemory memory = *fixture.context().allocate({.size = 4096});
  DropCounter reason("reason");
  for (const bool with_cache : {true, false}) {
    Burst<64> burst;
    for (std::uint32_t i = 0; i < 64; ++i) {
      MbufPtr mbuf = cache.allocate();
      if (i % 3 == 0) {
        ASSERT_TRUE(mbuf->attach_external(memory, 0, 100, &Owner::free, &owner));
      }
      MbufPtr chained = cache.allocate();
      if (i % 5 == 0) {
        ASSERT_TRUE(mbuf->chain(chained));
      }
      ASSERT_TRUE(burst.push(mbuf));
    }
    if (with_cache) {
      burst.drop(reason, cache);
    } else {
      burst.drop(reason);
    }
  }
  EXPECT_EQ(owner.calls, 44U);
  EXPECT_EQ(owner.kept.size(), 44U);
  EXPECT_EQ(pool.stats().in_use(), 44U);
}

TEST(MempoolCache, ItsMbufsReturnToThePoolWithIt) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 500, .data_room = 64, .headroom = 0});
  {
    MempoolCache cache(pool);
    std::vector<MbufPtr> held;
    for (int i = 0; i < 200; ++i) held.push_back(cache.allocate());
    for (MbufPtr& mbuf : held) cache.free(std::move(mbuf));
    EXPECT_GT(pool.stats().cached, 0u);
  }
  EXPECT_EQ(pool.stats().cached, 0u);
  EXPECT_EQ(pool.stats().shared, 500u);
}

TEST(MempoolCache, FailuresAreCountedAndOutliveIt) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 10, .data_room = 64, .headroom = 0});
  std::optional<MempoolCache> cache(pool);
  std::array<Mbuf*, 11> mbufs{};
  EXPECT_FALSE(cache->allocate_bulk(mbufs)) << "all or none";
  EXPECT_EQ(pool.stats().in_use(), 0u);
  EXPECT_TRUE(cache->allocate_bulk(std::span(mbufs).first(10)));
  EXPECT_EQ(cache->allocate(), nullptr);
  EXPECT_EQ(pool.stats().allocation_failures, 2u);
  cache->free_bulk(std::span(mbufs).first(10));
  cache.reset();
  EXPECT_EQ(pool.stats().allocation_failures, 2u);
  EXPECT_EQ(pool.stats().shared, 10u);
}

TEST(MempoolCache, BulkAllocatesAnyNumberUpToItsMaximum) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 3000, .data_room = 64, .headroom = 0});
  MempoolCache cache(pool, 64);
  std::vector<Mbuf*> mbufs(MempoolCache::kMaxCapacity + 1);
  for (const std::size_t count : {0u, 1u, 63u, 64u, 65u, 500u, 1023u, 1024u}) {
    const std::span<Mbuf*> part(mbufs.data(), count);
    ASSERT_TRUE(cache.allocate_bulk(part)) << count;
    for (Mbuf* mbuf : part) {
      EXPECT_EQ(mbuf->length(), 0u);
      ASSERT_NE(mbuf->append(64), nullptr);
    }
    EXPECT_EQ(pool.stats().in_use(), count);
    cache.free_bulk(part);
    EXPECT_EQ(pool.stats().in_use(), 0u);
  }
  EXPECT_FALSE(cache.allocate_bulk(mbufs)) << "more than the capacity of any cache";
}

TEST(MempoolCache, BulkAllocatesMbufsWithData) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 100, .data_room = 200, .headroom = 32, .ip_align = true});
  MempoolCache cache(pool);
  std::array<Mbuf*, 10> mbufs{};
  for (const std::uint32_t bytes : {1U, 60U, 200U}) {
    ASSERT_TRUE(cache.allocate_bulk(mbufs, bytes));
    for (Mbuf* const mbuf : mbufs) {
      EXPECT_EQ(mbuf->length(), bytes);
      EXPECT_EQ(mbuf->packet_length(), bytes);
      EXPECT_EQ(mbuf->data(), mbuf->head() + 34);
      EXPECT_EQ(mbuf->segments(), 1U);
      EXPECT_GE(mbuf->tailroom(), 200U - bytes);
    }
    cache.free_bulk(mbufs);
  }
  EXPECT_FALSE(cache.allocate_bulk(mbufs, 201)) << "longer than the room";
  EXPECT_EQ(pool.stats().in_use(), 0U);
  EXPECT_EQ(pool.stats().allocation_failures, 0U);
  ASSERT_TRUE(cache.allocate_bulk(mbufs));
  EXPECT_EQ(mbufs[0]->length(), 0U) << "the next ones are empty again";
  cache.free_bulk(mbufs);
}

TEST(MempoolCache, FlushesWhenFullAndRefillsWhenEmpty) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 2000, .data_room = 64, .headroom = 0});
  MempoolCache cache(pool, 64);
  std::vector<Mbuf*> held;
  for (int i = 0; i < 2000; ++i) held.push_back(pool.allocate().release());
  for (Mbuf* mbuf : held) {
    cache.free(MbufPtr(mbuf));
    ASSERT_LE(cache.core()->count(), 64u + MempoolCacheCore::kSlack);
  }
  EXPECT_EQ(pool.stats().in_use(), 0u);
  EXPECT_GT(pool.stats().shared, 1800u);
  for (Mbuf*& mbuf : held) {
    mbuf = cache.allocate().release();
    ASSERT_NE(mbuf, nullptr);
  }
  EXPECT_EQ(pool.stats().in_use(), 2000u);
  cache.free_bulk(held);
  EXPECT_EQ(pool.stats().in_use(), 0u);
}

// A receive queue refills for a whole burst, uses few of the mbufs, and leaves the cache far above its capacity.
TEST(MempoolCache, AnOverfullCacheOfSmallCapacityDoesNotOverflow) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 4000, .data_room = 64, .headroom = 0});
  MempoolCache cache(pool, 64);
  std::vector<Mbuf*> held;
  for (int i = 0; i < 2500; ++i) held.push_back(pool.allocate().release());
  cache.core()->refill(1024);
  ASSERT_EQ(cache.core()->count(), 1024u);
  cache.free_bulk(held);
  EXPECT_LE(cache.core()->count(), 64u + MempoolCacheCore::kSlack);
  EXPECT_EQ(pool.stats().in_use(), 0u);
}

TEST(MempoolCache, AllocatesTheLastFreedMbufFirst) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 200});
  MempoolCache cache(pool);
  MbufPtr one = cache.allocate();
  MbufPtr two = cache.allocate();
  Mbuf* const warm = one.get();
  cache.free(std::move(two));
  cache.free(std::move(one));
  EXPECT_EQ(cache.allocate().get(), warm);
}

TEST(MempoolCache, MbufsOfOtherPoolsReturnToTheirPool) {
  test::PoolFixture fixture;
  Mempool ours = fixture.pool({.count = 100, .data_room = 64, .headroom = 0});
  Mempool theirs = fixture.pool({.count = 100, .data_room = 64, .headroom = 0});
  MempoolCache cache(ours, 64);
  MempoolCache other(theirs, 64);
  std::vector<Mbuf*> mixed;
  for (int i = 0; i < 30; ++i) {
    mixed.push_back(cache.allocate().release());
    MbufPtr chain = other.allocate();
    MbufPtr more = cache.allocate();
    ASSERT_TRUE(chain->chain(more));
    mixed.push_back(chain.release());
  }
  MbufPtr shared = other.allocate();
  ASSERT_NE(shared->append(50), nullptr);
  mixed.push_back(shared->clone(cache).release());
  cache.free_bulk(mixed);
  EXPECT_EQ(ours.stats().in_use(), 0u);
  EXPECT_EQ(theirs.stats().in_use(), 1u);
  cache.free(std::move(shared));
  EXPECT_EQ(theirs.stats().in_use(), 0u);
  for (std::uint32_t i = 0; i < cache.core()->count(); ++i) {
    EXPECT_EQ(&MbufAccess::pool(*cache.core()->objects()[i]), ours.core().get());
  }
}

TEST(MempoolCache, KeepsItsPoolAlive) {
  test::PoolFixture fixture;
  std::optional<Mempool> pool(fixture.pool({.count = 100, .data_room = 64, .headroom = 0}));
  std::optional<MempoolCache> cache(*pool);
  const int id = pool->core()->id();
  pool.reset();
  MbufPtr mbuf = cache->allocate();
  ASSERT_NE(mbuf, nullptr);
  cache->free(std::move(mbuf));
  cache.reset();
  EXPECT_TRUE(fixture.misuses().empty());
  EXPECT_EQ(fixture.pool({.count = 1}).core()->id(), id) << "the pool is destroyed";
}

}  // namespace
}  // namespace pollux
