// SPDX-License-Identifier: BSD-3-Clause
// Memory that a domain cannot unmap is never used again, since a device may still write to it.
#include <gtest/gtest.h>

#include "domain_fixture.hpp"

namespace pollux {
namespace {

using test::DomainFixture;
using test::Foreign;

/// The device may still write to the memory, so it must not be reused.
TEST(StuckMemory, IsNotReusedAfterItsRelease) {
  DomainFixture fixture;
  const auto domain = fixture.attach();
  domain->fail_unmap = true;
  std::uint64_t stuck = 0;
  std::byte* address = nullptr;
  {
    const DmaMemory memory = fixture.allocate(4096);
    stuck = memory.segments()[0].iova;
    address = memory.segments()[0].address;
  }
  ASSERT_EQ(fixture.log.size(), 1U);
  EXPECT_EQ(fixture.log[0].first, LogLevel::error);
  EXPECT_EQ(fixture.log[0].second,
            "4 KiB at IOVA 0x100000 could not be unmapped from fake domain: fake domain cannot unmap");
  domain->fail_unmap = false;
  const DmaMemory next = fixture.allocate(4096);
  EXPECT_NE(next.segments()[0].iova, stuck);
  *address = std::byte{1};  // still mapped
}

/// The first domain's device may still write to the memory.
TEST(StuckMemory, IsNotReusedAfterAFailedAllocation) {
  DomainFixture fixture;
  const auto first = fixture.attach();
  const auto second = fixture.attach();
  first->fail_unmap = true;
  second->fail_map_call = 1;
  ASSERT_FALSE(fixture.state->allocate({.size = 4096}));
  ASSERT_EQ(fixture.log.size(), 1U);
  EXPECT_EQ(fixture.log[0].second,
            "4 KiB at IOVA 0x100000 could not be unmapped from fake domain: fake domain cannot unmap");
  ASSERT_EQ(first->mapped.size(), 1U);
  const DmaSegment stuck = first->mapped.front();
  first->fail_unmap = false;
  const DmaMemory next = fixture.allocate(4096);
  EXPECT_NE(next.segments()[0].iova, stuck.iova);
  EXPECT_NE(next.segments()[0].address, stuck.address);
  *stuck.address = std::byte{1};  // still mapped
}

TEST(StuckMemory, OfTheApplicationKeepsItsIova) {
  DomainFixture fixture;
  const auto first = fixture.attach();
  const auto second = fixture.attach();
  const Foreign memory(4096);
  first->fail_unmap = true;
  second->fail_map_call = 1;
  ASSERT_FALSE(fixture.state->register_memory(memory.bytes()));
  ASSERT_EQ(first->mapped.size(), 1U);
  const std::uint64_t stuck = first->mapped.front().iova;
  first->fail_unmap = false;
  const auto again = fixture.state->register_memory(memory.bytes());
  ASSERT_TRUE(again);
  EXPECT_NE(again->segments()[0].iova, stuck);
}

}  // namespace
}  // namespace pollux
