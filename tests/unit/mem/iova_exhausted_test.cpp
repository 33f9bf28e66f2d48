// SPDX-License-Identifier: BSD-3-Clause
// The IOVA range that all devices share is exhausted: the error says so, nothing is left behind, and memory can be
// allocated again after a free.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <memory>
#include <optional>
#include <vector>

#include "context_fixture.hpp"
#include "fake_domain.hpp"
#include "pollux/mem/mempool.hpp"
#include "unit/mem/sizes.hpp"

namespace pollux {
namespace {

using test::ContextFixture;
using test::FakeDomain;
using test::kMi;
using testing::AllOf;
using testing::HasSubstr;

constexpr std::uint64_t kReach = 4 * kMi;  ///< bytes that the narrow domain can use

/// A Context with one device that can use only a small IOVA range.
struct ExhaustedIova : testing::Test {
  ExhaustedIova() {
    EXPECT_TRUE(context.attach(wide));
    EXPECT_TRUE(context.attach(narrow));
  }
  static ContextOptions options() {
    ContextOptions options;
    options.huge_pages = HugePages::never;
    return options;
  }
  void expect_refused(const Error& error) const {
    EXPECT_EQ(error.code, ErrorCode::no_memory);
    EXPECT_THAT(error.what, AllOf(HasSubstr("IOVA space"), HasSubstr("are in use")));
    EXPECT_THAT(error.hint, testing::Not(testing::IsEmpty()));
  }

  Context context{options()};
  std::shared_ptr<FakeDomain> wide = std::make_shared<FakeDomain>();
  std::shared_ptr<FakeDomain> narrow =
      std::make_shared<FakeDomain>(std::vector<IovaRange>{{16 * kMi, 16 * kMi + kReach - 1}});
};

TEST_F(ExhaustedIova, AllocationFailsWithANamedErrorAndWorksAgainAfterAFree) {
  std::vector<DmaMemory> held;
  for (std::uint64_t taken = 0; taken < kReach; taken += kMi) {
    auto memory = context.allocate({.size = kMi, .purpose = "a quarter"});
    ASSERT_TRUE(memory) << memory.error().message();
    held.push_back(*std::move(memory));
  }
  const auto refused = context.allocate({.size = 4096, .purpose = "one page"});
  ASSERT_FALSE(refused);
  expect_refused(refused.error());
  EXPECT_THAT(refused.error().what, AllOf(HasSubstr("one page"), HasSubstr("a quarter")));
  EXPECT_EQ(narrow->mapped.size(), 4u);
  EXPECT_EQ(wide->mapped.size(), 4u);
  const std::uint64_t place = held[1].segments()[0].iova;
  held.erase(held.begin() + 1);
  const auto again = context.allocate({.size = kMi});
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->segments()[0].iova, place);
}

TEST_F(ExhaustedIova, AFailedPoolLeavesRoomForASmallerOne) {
  const auto refused = Mempool::create(context, {.count = 4096});
  ASSERT_FALSE(refused);
  expect_refused(refused.error());
  EXPECT_TRUE(narrow->mapped.empty());
  EXPECT_TRUE(wide->mapped.empty());
  for (int i = 0; i < 3; ++i) {  // a leak of one attempt would make the next one fail
    const auto pool = Mempool::create(context, {.count = 1024});
    ASSERT_TRUE(pool) << pool.error().message();
  }
  EXPECT_TRUE(narrow->mapped.empty());
}

TEST_F(ExhaustedIova, RegisteredMemoryFailsToo) {
  const auto all = context.allocate({.size = kReach});
  ASSERT_TRUE(all);
  void* const own = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(own, MAP_FAILED);
  const auto refused = context.register_memory({static_cast<std::byte*>(own), 4096});
  EXPECT_FALSE(refused);
  if (!refused) expect_refused(refused.error());
  EXPECT_EQ(narrow->mapped.size(), 1u);
  ::munmap(own, 4096);
}

TEST_F(ExhaustedIova, DetachingTheNarrowDomainMakesRoom) {
  const auto all = context.allocate({.size = kReach});
  ASSERT_TRUE(all);
  ASSERT_FALSE(context.allocate({.size = 4096}));
  context.detach(*narrow);
  EXPECT_TRUE(context.allocate({.size = 4096}));
}

}  // namespace
}  // namespace pollux
