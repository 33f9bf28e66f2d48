// SPDX-License-Identifier: BSD-3-Clause
#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "mem/ownership.hpp"
#include "unit/mem/pool_fixture.hpp"

namespace pollux {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Parts = std::vector<std::string>;

TEST(Ownership, CorrectUseReportsNothing) {
  test::PoolFixture fixture;
  {
    Mempool pool = fixture.pool({.count = 100});
    MempoolCache cache(pool);
    MbufPtr frame = cache.allocate();
    MbufPtr more = pool.allocate();
    ASSERT_TRUE(frame->chain(more));
    MbufPtr clone = frame->clone(cache);
    cache.free(std::move(frame));
    clone.reset();
    Burst<4> burst;
    ASSERT_TRUE(burst.fill(cache, 4));
  }
  EXPECT_THAT(fixture.misuses(), IsEmpty());
}

#if POLLUX_CHECKED

/// Allocates and frees all mbufs of a pool: each exists once, and none is missing.
void expect_intact(Mempool& pool) {
  std::vector<MbufPtr> all;
  std::set<Mbuf*> different;
  while (MbufPtr mbuf = pool.allocate()) {
    ASSERT_TRUE(different.insert(mbuf.get()).second) << "an mbuf was allocated twice";
    all.push_back(std::move(mbuf));
  }
  EXPECT_EQ(all.size(), pool.stats().count);
}

TEST(Ownership, ADoubleFreeNamesBothLocationsAndIsHarmless) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 5, .name = "rx"});
  {
    MempoolCache cache(pool);
    Mbuf* const mbuf = cache.allocate().release();
    const Site first = Site::here();
    cache.free(MbufPtr(mbuf), first);
    const Site second = Site::here();
    cache.free(MbufPtr(mbuf), second);
    EXPECT_THAT(fixture.misuses(),
                ElementsAre(test::IsMisuse(MisuseKind::double_free,
                                           Parts{"mempool rx", test::location(first), test::location(second)})));
    EXPECT_EQ(pool.stats().in_use(), 0u);
  }
  expect_intact(pool);
}

TEST(Ownership, ADoubleFreeWithoutACacheNamesTheAllocation) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 5});
  const Site taken = Site::here();
  Mbuf* const mbuf = pool.allocate(taken).release();
  MbufDeleter{}(mbuf);
  MbufDeleter{}(mbuf);
  EXPECT_THAT(fixture.misuses(), ElementsAre(test::IsMisuse(MisuseKind::double_free, Parts{test::location(taken)})));
  expect_intact(pool);
}

TEST(Ownership, TheSameMbufTwiceInOneGroupIsADoubleFree) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 5});
  {
    MempoolCache cache(pool);
    std::array<Mbuf*, 3> mbufs{};
    ASSERT_TRUE(cache.allocate_bulk(std::span(mbufs).first(2)));
    mbufs[2] = mbufs[0];
    cache.free_bulk(mbufs);
    EXPECT_THAT(fixture.misuses(), ElementsAre(test::IsMisuse(MisuseKind::double_free, Parts{})));
  }
  expect_intact(pool);
}

TEST(Ownership, AChainWithAFreeSegmentFreesTheOthers) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 3});
  MbufPtr frame = pool.allocate();
  MbufPtr second = pool.allocate();
  Mbuf* const stolen = second.get();
  ASSERT_TRUE(frame->chain(second));
  MbufDeleter{}(stolen);
  frame.reset();
  EXPECT_THAT(fixture.misuses(), ElementsAre(test::IsMisuse(MisuseKind::double_free, Parts{})));
  expect_intact(pool);
}

TEST(Ownership, ADestroyedPoolNamesWhereItsMbufsWereAllocated) {
  test::PoolFixture fixture;
  MbufPtr one;
  std::vector<MbufPtr> two;
  const Site first = Site::here();
  const Site second = Site::here(first.file, first.line + 1000);
  {
    Mempool pool = fixture.pool({.count = 8, .name = "tx"});
    one = pool.allocate(first);
    for (int i = 0; i < 2; ++i) two.push_back(pool.allocate(second));
  }
  EXPECT_THAT(fixture.misuses(),
              ElementsAre(test::IsMisuse(MisuseKind::leak,
                                         Parts{"mempool tx", "3 mbufs", "1 allocated at " + test::location(first),
                                               "2 allocated at " + test::location(second)})));
}

TEST(Ownership, OnlySomeOfManyLocationsAreNamed) {
  test::PoolFixture fixture;
  std::vector<MbufPtr> held;
  {
    Mempool pool = fixture.pool({.count = 20});
    for (unsigned line = 1; line <= 12; ++line) held.push_back(pool.allocate({"place.cpp", line}));
  }
  EXPECT_THAT(fixture.misuses(),
              ElementsAre(test::IsMisuse(MisuseKind::leak, Parts{"12 mbufs", "place.cpp:8", "and 4 more locations"})));
}

TEST(Ownership, ALeakedCloneNamesWhereItWasCloned) {
  test::PoolFixture fixture;
  MbufPtr clone;
  const Site site = Site::here();
  {
    Mempool pool = fixture.pool({.count = 4});
    MempoolCache cache(pool);
    MbufPtr frame = cache.allocate();
    clone = frame->clone(cache, site);
  }
  EXPECT_THAT(fixture.misuses(), ElementsAre(test::IsMisuse(MisuseKind::leak, Parts{test::location(site)})));
}

TEST(Ownership, LeakedMbufsOfABurstNameWhereTheyWereReceived) {
  test::PoolFixture fixture;
  Burst<4> burst;
  const Site site = Site::here();
  {
    Mempool pool = fixture.pool({.count = 8});
    MempoolCache cache(pool);
    ASSERT_TRUE(burst.fill(cache, 4, site));
  }
  EXPECT_THAT(fixture.misuses(),
              ElementsAre(test::IsMisuse(MisuseKind::leak, Parts{"4 allocated at " + test::location(site)})));
}

#else

TEST(Ownership, IsNotCheckedInThisBuild) {
  test::PoolFixture fixture;
  MbufPtr held;
  {
    Mempool pool = fixture.pool({.count = 4});
    held = pool.allocate();
  }
  EXPECT_THAT(fixture.misuses(), IsEmpty());
  EXPECT_EQ(MbufAccess::site(*held).line, 0u);
}

#endif

}  // namespace
}  // namespace pollux
