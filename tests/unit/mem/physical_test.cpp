// SPDX-License-Identifier: BSD-3-Clause
// Memory for devices without address translation: its IOVAs are physical addresses.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <vector>

#include "context_fixture.hpp"
#include "fake_domain.hpp"
#include "fake_physical.hpp"
#include "machine.hpp"
#include "mem/dma_region.hpp"
#include "mem/mempool_core.hpp"
#include "pollux/mem/mempool.hpp"

namespace pollux {
namespace {

using test::ContextFixture;
using test::FakeDomain;
using test::FakePhysical;
using test::ReservedHugePages;

constexpr std::size_t kPage = ReservedHugePages::kPageSize;

struct PhysicalFixture : ContextFixture {
  explicit PhysicalFixture(ContextOptions options = {}) : ContextFixture(std::move(options)) {}
  Result<std::shared_ptr<FakeDomain>> attach(std::vector<std::uint64_t> places) {
    auto domain = std::make_shared<FakeDomain>();
    domain->label = "a bare card";
    domain->physical = std::make_shared<FakePhysical>(std::move(places));
    if (auto attached = state->attach(domain); !attached) return pass_on(std::move(attached));
    return domain;
  }
  Result<DmaMemory> allocate(std::size_t size) { return state->allocate({.size = size, .purpose = "test"}); }
};

DmaRegion pages(std::size_t count) {
  // Only the addresses are used; nothing is read or written there.
  auto* const base = reinterpret_cast<std::byte*>(std::uintptr_t{1} << 32U);
  return {.segments = {{base, 0x10'0000, count * kPage}}, .place = 0x10'0000, .page_size = kPage};
}

TEST(PhysicalSegments, JoinOnlyContiguousPages) {
  const DmaRegion region = pages(5);
  const FakePhysical machine({0x4000'0000, 0x4020'0000, 0x1000'0000, 0x0fe0'0000, 0x1020'0000});
  const auto segments = physical_segments(machine, region);
  ASSERT_TRUE(segments) << segments.error().message();
  ASSERT_EQ(segments->size(), 4u);
  EXPECT_EQ((*segments)[0].iova, 0x4000'0000u);
  EXPECT_EQ((*segments)[0].size, 2 * kPage);
  EXPECT_EQ((*segments)[1].iova, 0x1000'0000u);
  EXPECT_EQ((*segments)[2].iova, 0x0fe0'0000u);
  EXPECT_EQ((*segments)[3].iova, 0x1020'0000u);
  EXPECT_EQ((*segments)[3].address, region.address() + 4 * kPage);
  std::size_t sum = 0;
  for (const DmaSegment& segment : *segments) {
    EXPECT_EQ(segment.address, region.address() + sum);
    sum += segment.size;
  }
  EXPECT_EQ(sum, region.size());
}

TEST(PhysicalSegments, RejectImpossibleAddresses) {
  for (const std::vector<std::uint64_t>& places : {std::vector<std::uint64_t>{0x4000'1000, 0x4020'0000},
                                                   {0x4000'0000, 0x4000'0000},
                                                   {0x4000'0000, ~std::uint64_t{0} - kPage + 1}}) {
    const auto segments = physical_segments(FakePhysical(places), pages(2));
    ASSERT_FALSE(segments);
    EXPECT_EQ(segments.error().code, ErrorCode::device_fault);
  }
}

TEST(PhysicalSegments, PassOnTheErrorOfTheMachine) {
  const auto segments = physical_segments(FakePhysical({0x4000'0000}), pages(2));
  ASSERT_FALSE(segments);
  EXPECT_EQ(segments.error().code, ErrorCode::permission_denied);
}

TEST(Physical, RejectsADeviceIfTheContextHasMemoryAlready) {
  PhysicalFixture fixture(ContextFixture::ordinary());
  auto memory = fixture.allocate(8192);
  ASSERT_TRUE(memory);
  const auto refused = fixture.attach({0x4000'0000});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::not_supported);
  EXPECT_NE(refused.error().what.find("a bare card uses physical addresses"), std::string::npos);
  EXPECT_NE(refused.error().hint.find("before pools are created"), std::string::npos);
  *memory = DmaMemory();
  EXPECT_TRUE(fixture.attach({0x4000'0000}));
}

TEST(Physical, NeedsHugePagesWithEveryOption) {
  const test::FakeHugePages none;
  for (const HugePages policy : {HugePages::prefer, HugePages::require}) {
    ContextOptions options;
    options.huge_pages = policy;
    ContextFixture fixture(options, none.paths());
    auto domain = std::make_shared<FakeDomain>();
    domain->physical = std::make_shared<FakePhysical>(std::vector<std::uint64_t>{0x4000'0000});
    ASSERT_TRUE(fixture.state->attach(domain));
    const auto memory = fixture.state->allocate({.size = 4096});
    ASSERT_FALSE(memory);
    EXPECT_EQ(memory.error().code, ErrorCode::no_memory);
    EXPECT_TRUE(fixture.log.empty()) << "ordinary pages were used";
  }
}

TEST(Physical, NamesTheOptionThatForbidsHugePages) {
  PhysicalFixture fixture(ContextFixture::ordinary());
  ASSERT_TRUE(fixture.attach({0x4000'0000}));
  const auto memory = fixture.allocate(4096);
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, ErrorCode::not_supported);
  EXPECT_NE(memory.error().hint.find("HugePages::prefer"), std::string::npos);
}

TEST(Physical, RejectsMemoryOfTheApplication) {
  PhysicalFixture fixture(ContextFixture::ordinary());
  const auto domain = fixture.attach({0x4000'0000});
  ASSERT_TRUE(domain);
  alignas(4096) static std::byte bytes[4096];
  const auto refused = fixture.state->register_memory(bytes);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::not_supported);
  fixture.state->detach(**domain);
  EXPECT_TRUE(fixture.state->register_memory(bytes)) << "it works again without the device";
}

TEST(Physical, MemoryHasPhysicalAddressesInEveryDomain) {
  const ReservedHugePages reserved(3);
  if (!reserved.missing().empty()) GTEST_SKIP() << reserved.missing();
  PhysicalFixture fixture;
  const auto translated = std::make_shared<FakeDomain>();
  ASSERT_TRUE(fixture.state->attach(translated));
  const auto domain = fixture.attach({0x8000'0000, 0x4000'0000, 0x4020'0000});
  ASSERT_TRUE(domain) << domain.error().message();
  auto memory = fixture.allocate(3 * kPage);
  ASSERT_TRUE(memory) << memory.error().message();
  ASSERT_EQ(memory->segments().size(), 2u);
  EXPECT_EQ(memory->size(), 3 * kPage);
  EXPECT_EQ(memory->iova_of(memory->segments()[0].address, kPage), 0x8000'0000u);
  EXPECT_EQ(memory->iova_of(memory->segments()[1].address + 5, 1), 0x4000'0005u);
  EXPECT_EQ(memory->iova_of(memory->segments()[0].address + kPage - 1, 2), DmaMemory::kNoIova);
  for (const auto& held : {translated, *domain}) EXPECT_EQ(held->mapped.size(), 2u);
  *memory = DmaMemory();
  for (const auto& held : {translated, *domain}) EXPECT_TRUE(held->mapped.empty());
}

TEST(Physical, ADomainThatRejectsASegmentGetsNone) {
  const ReservedHugePages reserved(2);
  if (!reserved.missing().empty()) GTEST_SKIP() << reserved.missing();
  PhysicalFixture fixture;
  const auto first = fixture.attach({0x8000'0000, 0x4000'0000, 0x8000'0000, 0x4000'0000});
  ASSERT_TRUE(first);
  const auto second = std::make_shared<FakeDomain>();
  second->fail_map_call = 2;
  ASSERT_TRUE(fixture.state->attach(second));
  const std::uint64_t free = ReservedHugePages::free();
  EXPECT_FALSE(fixture.allocate(2 * kPage));
  EXPECT_TRUE((*first)->mapped.empty());
  EXPECT_TRUE(second->mapped.empty());
  EXPECT_TRUE(ReservedHugePages::become_free(free));
  EXPECT_TRUE(fixture.allocate(2 * kPage));
}

TEST(Physical, AFailureToFindAnAddressFreesThePages) {
  const ReservedHugePages reserved(2);
  if (!reserved.missing().empty()) GTEST_SKIP() << reserved.missing();
  PhysicalFixture fixture;
  const auto domain = fixture.attach({0x8000'0000});
  ASSERT_TRUE(domain);
  const std::uint64_t free = ReservedHugePages::free();
  const auto memory = fixture.allocate(2 * kPage);
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, ErrorCode::permission_denied);
  EXPECT_TRUE((*domain)->mapped.empty());
  EXPECT_TRUE(ReservedHugePages::become_free(free));
}

TEST(Physical, StaysInForceWhileSuchMemoryExists) {
  const ReservedHugePages reserved(2);
  if (!reserved.missing().empty()) GTEST_SKIP() << reserved.missing();
  PhysicalFixture fixture;
  const auto domain = fixture.attach({0x8000'0000, 0x4000'0000});
  ASSERT_TRUE(domain);
  auto first = fixture.allocate(kPage);
  ASSERT_TRUE(first);
  fixture.state->detach(**domain);
  auto second = fixture.allocate(kPage);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->segments()[0].iova, 0x4000'0000u);
  EXPECT_TRUE(fixture.attach({0x2000'0000})) << "existing memory has physical addresses";
}

TEST(Physical, APoolInSeveralSegmentsKnowsEachBuffersAddress) {
  const ReservedHugePages reserved(4);
  if (!reserved.missing().empty()) GTEST_SKIP() << reserved.missing();
  Context context;
  auto domain = std::make_shared<FakeDomain>();
  domain->physical =
      std::make_shared<FakePhysical>(std::vector<std::uint64_t>{0x8000'0000, 0x4000'0000, 0x6000'0000, 0x2000'0000});
  ASSERT_TRUE(context.attach(domain));
  auto pool = Mempool::create(context, {.count = 3000});
  ASSERT_TRUE(pool) << pool.error().message();
  std::map<std::uint64_t, unsigned> of_page;
  std::vector<MbufPtr> mbufs;
  for (unsigned i = 0; i < 3000; ++i) {
    mbufs.push_back(pool->allocate());
    ASSERT_NE(mbufs.back(), nullptr);
    const std::uint64_t iova = mbufs.back()->data_iova();
    EXPECT_EQ(iova, domain->iova_of(reinterpret_cast<const std::byte*>(mbufs.back()->data())));
    ++of_page[iova / kPage * kPage];
  }
  EXPECT_GT(of_page.size(), 1u);
}

}  // namespace
}  // namespace pollux
