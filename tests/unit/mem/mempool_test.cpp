// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "mem/mempool_core.hpp"
#include "unit/mem/context_fixture.hpp"
#include "unit/mem/fake_domain.hpp"
#include "unit/mem/pool_fixture.hpp"

namespace pollux {
namespace {

using testing::HasSubstr;

struct BadOptions {
  const char* name;
  MempoolOptions options;
  const char* what;
  const char* hint;
};

class MempoolRefuses : public testing::TestWithParam<BadOptions> {};

TEST_P(MempoolRefuses, OptionsOutsideTheirRange) {
  test::PoolFixture fixture;
  const auto pool = Mempool::create(fixture.context(), GetParam().options);
  ASSERT_FALSE(pool);
  EXPECT_EQ(pool.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(pool.error().what, std::string("mempool: ") + GetParam().what);
  EXPECT_THAT(pool.error().hint, HasSubstr(GetParam().hint));
}

INSTANTIATE_TEST_SUITE_P(
    , MempoolRefuses,
    testing::Values(
        BadOptions{"NoMbufs", {.count = 0}, "count is 0", "at least 1"},
        BadOptions{"RoomTooSmall", {.data_room = 63}, "data_room is 63 bytes", "64 to 65280"},
        BadOptions{"RoomTooLarge", {.data_room = 65281}, "data_room is 65281 bytes", "64 to 65280"},
        BadOptions{"HeadroomOdd", {.headroom = 129}, "headroom is 129 bytes", "even"},
        BadOptions{"HeadroomTooLarge", {.headroom = 1026}, "headroom is 1026 bytes", "1024"},
        BadOptions{"BothTooLarge",
                   {.data_room = 65280, .headroom = 2},
                   "headroom and data_room are 65282 bytes together",
                   "65280"},
        BadOptions{"HeadroomUndoesAlignment",
                   {.headroom = 130, .ip_align = true},
                   "headroom is 130 bytes and ip_align is on",
                   "multiple of 4"},
        BadOptions{"BeyondLinks", {.count = 0xFFFFFFFF}, "4294967295 mbufs need more than 256 GiB", "several pools"}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(Mempool, AcceptsTheLimits) {
  test::PoolFixture fixture;
  for (const MempoolOptions& options :
       {MempoolOptions{.count = 1, .data_room = 64, .headroom = 0},
        MempoolOptions{.count = 1, .data_room = 65280, .headroom = 0},
        MempoolOptions{.count = 1, .data_room = 64256, .headroom = 1024, .ip_align = true}}) {
    Mempool pool = fixture.pool(options);
    const MbufPtr mbuf = pool.allocate();
    ASSERT_NE(mbuf, nullptr);
    EXPECT_GE(mbuf->tailroom(), options.data_room);
    EXPECT_EQ(mbuf->headroom(), options.headroom + (options.ip_align ? 2 : 0));
  }
}

TEST(Mempool, ErrorsNameThePoolAndChangeNothing) {
  const ContextOptions options{.huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30};
  Context context(options);
  const int lowest = PoolId().value();
  // An option out of range, and more than the arena holds.
  for (const std::uint32_t count : {0u, 400'000u, 4'000'000u}) {
    const auto pool = Mempool::create(context, {.count = count, .name = "rx of port 3"});
    ASSERT_FALSE(pool) << count;
    EXPECT_THAT(pool.error().message(), HasSubstr("rx of port 3"));
  }
  // A pool created after the errors gets the IOVA of a Context's first pool.
  Mempool after = Mempool::create(context, {.count = 1}).value();
  Context fresh(options);
  Mempool first = Mempool::create(fresh, {.count = 1}).value();
  EXPECT_EQ(after.core()->id(), lowest);
  EXPECT_EQ(after.allocate()->data_iova(), first.allocate()->data_iova());
}

class MempoolCount : public testing::TestWithParam<std::uint32_t> {};

TEST_P(MempoolCount, HasExactlyTheRequestedMbufs) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = GetParam(), .data_room = 64, .headroom = 0});
  EXPECT_EQ(pool.stats().count, GetParam());
  EXPECT_EQ(pool.stats().shared, GetParam());
  std::vector<MbufPtr> all;
  while (MbufPtr mbuf = pool.allocate()) all.push_back(std::move(mbuf));
  EXPECT_EQ(all.size(), GetParam());
  EXPECT_EQ(pool.stats().in_use(), GetParam());
  EXPECT_EQ(pool.stats().allocation_failures, 1u);
  std::set<Mbuf*> different;
  for (const MbufPtr& mbuf : all) different.insert(mbuf.get());
  EXPECT_EQ(different.size(), all.size());
  all.clear();
  EXPECT_EQ(pool.stats().shared, GetParam());
}

INSTANTIATE_TEST_SUITE_P(, MempoolCount, testing::Values(1u, 7u, 8191u, 100000u), testing::PrintToStringParamName());

TEST(Mempool, BuffersAreAnOddNumberOfLinesApartWithinTheirMemory) {
  test::PoolFixture fixture;
  for (const std::uint32_t room : {64u, 100u, 512u, 1984u, 2048u, 4096u, 9000u}) {
    for (const std::uint32_t headroom : {0u, 2u, 128u, 1024u}) {
      const MempoolOptions options{.count = 50, .data_room = room, .headroom = headroom};
      EXPECT_EQ(MempoolCore::stride(options) % 128, 64u) << room << " behind " << headroom;
      Mempool pool = fixture.pool(options);
      std::vector<MbufPtr> held;
      while (MbufPtr mbuf = pool.allocate()) held.push_back(std::move(mbuf));
      std::sort(held.begin(), held.end());
      for (std::size_t i = 0; i < held.size(); ++i) {
        const auto start = reinterpret_cast<std::uintptr_t>(held[i].get());
        EXPECT_EQ(start % 64, 0u);
        EXPECT_EQ(MbufAccess::iova(*held[i]), pool.core()->buffer_iova(*held[i]));
        EXPECT_NE(MbufAccess::iova(*held[i]), DmaMemory::kNoIova) << "a buffer crosses a segment";
        EXPECT_GE(held[i]->capacity(), headroom + room);
        if (i == 0) continue;
        EXPECT_LE(held[i - 1]->end(), reinterpret_cast<std::uint8_t*>(held[i].get()));
        const auto before = reinterpret_cast<std::uintptr_t>(held[i - 1].get());
        const std::size_t page = pool.core()->page_size();
        if (before / page == start / page) {
          EXPECT_EQ((start - before) % 128, 64u);
        }
      }
    }
  }
}

TEST(Mempool, NoBufferCrossesAPageUnlessItIsLonger) {
  test::PoolFixture fixture;
  for (const std::uint32_t room : {64u, 1024u, 2048u, 3700u}) {
    Mempool pool = fixture.pool({.count = 3000, .data_room = room});
    const std::size_t page = pool.core()->page_size();
    std::set<std::uintptr_t> places;
    for (std::uint32_t i = 0; i < 3000; ++i) {
      const auto first = reinterpret_cast<std::uintptr_t>(&pool.core()->at(i));
      const auto last = reinterpret_cast<std::uintptr_t>(pool.core()->at(i).end()) - 1;
      ASSERT_EQ(first / page, last / page) << "mbuf " << i << " with " << room << " bytes of room";
      places.insert(first % 4096);
    }
    // With a fixed offset in every page, all headers would share a few cache sets, so the offset varies by the unused
    // space.
    const std::size_t stride = MempoolCore::stride(pool.options());
    const std::size_t in_a_page = 4096 / stride;
    const std::size_t spare_lines = (4096 - in_a_page * stride) / 64;
    EXPECT_GE(places.size(), std::min<std::size_t>(32, in_a_page * (spare_lines + 1))) << room;
  }
}

// Which takes a page for each mbuf, and time.
TEST(Mempool, OrdinaryPagesAreTakenOnce) {
  test::ContextFixture fixture(test::ContextFixture::ordinary());
  const auto domain = std::make_shared<test::FakeDomain>();
  ASSERT_TRUE(fixture.state->attach(domain));
  const auto pool = MempoolCore::create(fixture.state, {.count = 3000}, MempoolCore::Owner::application);
  ASSERT_TRUE(pool) << pool.error().message();
  EXPECT_EQ(domain->map_calls, 1);
  EXPECT_EQ(domain->mapped.front().size, 3000 * (*pool)->page_size());
}

TEST(Mempool, TheDefaultStrideIs37Lines) { EXPECT_EQ(MempoolCore::stride({}), 37u * 64u); }

TEST(Mempool, ExhaustionIsCountedAndTemporary) {
  test::PoolFixture fixture;
  Mempool pool = fixture.pool({.count = 3});
  std::vector<MbufPtr> held;
  for (int i = 0; i < 3; ++i) held.push_back(pool.allocate());
  for (std::uint64_t failures = 1; failures <= 5; ++failures) {
    EXPECT_EQ(pool.allocate(), nullptr);
    EXPECT_EQ(pool.stats().allocation_failures, failures);
  }
  held.pop_back();
  EXPECT_NE(pool.allocate(), nullptr);
  EXPECT_EQ(pool.stats().allocation_failures, 5u);
}

TEST(Mempool, MoreThan255PoolsOfAProcessWork) {
  test::PoolFixture fixture;
  test::PoolFixture other;
  std::vector<Mempool> pools;
  std::multiset<int> ids;
  for (int i = 0; i < 300; ++i) {
    pools.push_back((i % 2 == 0 ? fixture : other).pool({.count = 4, .data_room = 64, .headroom = 0}));
    ids.insert(pools.back().core()->id());
  }
  for (int number = 1; number <= 255; ++number) EXPECT_LE(ids.count(number), 1u) << number;
  EXPECT_NE(pools[100].core()->id(), 0);
  EXPECT_EQ(pools[256].core()->id(), 0);
  for (Mempool& pool : pools) {
    MempoolCache cache(pool, 64);
    MbufPtr first = cache.allocate();
    MbufPtr second = cache.allocate();
    ASSERT_NE(first, nullptr);
    ASSERT_NE(first->append(60), nullptr);
    ASSERT_TRUE(first->chain(second));
    cache.free(std::move(first));
    first = cache.allocate();
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(first->segments(), 1u);
    EXPECT_EQ(first->length(), 0u);
    cache.free(std::move(first));
    EXPECT_EQ(pool.stats().in_use(), 0u);
  }
  // Pools without an id must not confuse each other's mbufs with their own.
  MempoolCache cache(pools[256], 64);
  MbufPtr foreign = pools[257].allocate();
  cache.free(std::move(foreign));
  EXPECT_EQ(pools[257].stats().shared, 4u);
  EXPECT_EQ(pools[256].stats().in_use(), 0u);
  const int id = pools[10].core()->id();
  pools.erase(pools.begin() + 10);
  EXPECT_EQ(fixture.pool({.count = 1}).core()->id(), id) << "destroying a pool frees its id";
}

TEST(Mempool, MemoryStaysUntilTheLastMbufIsFreed) {
  test::PoolFixture fixture;
  std::vector<MbufPtr> held;
  int id = 0;
  {
    Mempool pool = fixture.pool({.count = 8, .name = "short-lived"});
    id = pool.core()->id();
    for (int i = 0; i < 3; ++i) held.push_back(pool.allocate());
  }
  for (const MbufPtr& mbuf : held) {
    std::uint8_t* const bytes = mbuf->append(2000);
    ASSERT_NE(bytes, nullptr);
    std::fill_n(bytes, 2000, std::uint8_t{0xAB});
  }
  EXPECT_NE(fixture.pool({.count = 1}).core()->id(), id) << "the pool still exists";
  held.clear();
  EXPECT_EQ(fixture.pool({.count = 1}).core()->id(), id) << "the pool is destroyed";
}

TEST(Mempool, OutlivesItsContextHandle) {
  MbufPtr mbuf;
  {
    test::PoolFixture fixture;
    mbuf = fixture.pool({.count = 2}).allocate();
  }
  ASSERT_NE(mbuf->append(2000), nullptr);
  std::fill_n(mbuf->data(), 2000, std::uint8_t{0xCD});
  mbuf.reset();
}

}  // namespace
}  // namespace pollux
