// SPDX-License-Identifier: BSD-3-Clause
// A Context's memory is mapped into its domains: at the same IOVA in each, and into all of them or none.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <memory>

#include "domain_fixture.hpp"
#include "machine.hpp"
#include "unit/mem/sizes.hpp"

namespace pollux {
namespace {

using test::ContextFixture;
using test::DomainFixture;
using test::FakeDomain;
using test::Foreign;
using test::kMi;

TEST(Domains, SeeEarlierAndLaterMemoryAtTheSameIova) {
  DomainFixture fixture;
  const DmaMemory before = fixture.allocate(8192);
  const auto first = fixture.attach();
  const DmaMemory between = fixture.allocate(4096);
  const auto second = fixture.attach();
  const DmaMemory after = fixture.allocate(16384);
  for (const DmaMemory* memory : {&before, &between, &after}) {
    const DmaSegment& segment = memory->segments()[0];
    for (const auto& domain : {first, second}) {
      EXPECT_EQ(domain->iova_of(segment.address), segment.iova);
      EXPECT_EQ(domain->iova_of(segment.address + segment.size - 1), segment.iova + segment.size - 1);
    }
  }
  EXPECT_EQ(first->mapped.size(), 3U);
  EXPECT_EQ(second->mapped.size(), 3U);
}

TEST(Domains, UnmapReleasedMemory) {
  DomainFixture fixture;
  const auto first = fixture.attach();
  const auto second = fixture.attach();
  { const DmaMemory memory = fixture.allocate(4096); }
  EXPECT_TRUE(first->mapped.empty());
  EXPECT_TRUE(second->mapped.empty());
  EXPECT_EQ(first->unmap_calls, 1);
  EXPECT_TRUE(fixture.log.empty());
}

TEST(Domains, LimitTheIovaOfLaterMemory) {
  DomainFixture fixture;
  const auto low = fixture.attach({{0, 64 * kMi - 1}});
  const auto high = fixture.attach({{32 * kMi, ~std::uint64_t{0}}});
  const DmaMemory memory = fixture.allocate(4096);
  EXPECT_EQ(memory.segments()[0].iova, 32 * kMi);
  const auto over = fixture.state->allocate({.size = 33 * kMi});
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, ErrorCode::no_memory);
  fixture.state->detach(*low);
  EXPECT_TRUE(fixture.state->allocate({.size = 33 * kMi})) << "the limit ended with its domain";
}

TEST(Domains, ThatCannotReachMemoryAreRejectedWithNothingMapped) {
  DomainFixture fixture;
  const DmaMemory memory = fixture.allocate(4096);
  auto domain = std::make_shared<FakeDomain>(std::vector<IovaRange>{{16 * kMi, 32 * kMi}});
  const auto attached = fixture.state->attach(domain);
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code, ErrorCode::not_supported);
  EXPECT_EQ(attached.error().what, "fake domain cannot reach existing memory: 4 KiB at IOVA 0x100000");
  EXPECT_FALSE(attached.error().hint.empty());
  EXPECT_EQ(domain->map_calls, 0);
  const DmaMemory later = fixture.allocate(4096);
  EXPECT_EQ(later.segments()[0].iova, kMi + 4096) << "a rejected domain has no limit";
}

TEST(Domains, WithNoCommonRangeAreRejected) {
  DomainFixture fixture;
  const auto low = fixture.attach({{0, 32 * kMi - 1}});
  const auto attached =
      fixture.state->attach(std::make_shared<FakeDomain>(std::vector<IovaRange>{{32 * kMi, 64 * kMi}}));
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code, ErrorCode::not_supported);
  EXPECT_TRUE(fixture.state->allocate({.size = 4096}));
}

TEST(Domains, AreAttachedOnceAndNotNull) {
  DomainFixture fixture;
  const auto domain = fixture.attach();
  EXPECT_EQ(fixture.state->attach(domain).error().code, ErrorCode::bad_state);
  EXPECT_EQ(fixture.state->attach(nullptr).error().code, ErrorCode::invalid_argument);
}

TEST(Domains, AFailedAttachUnmapsEverything) {
  for (int nth = 1; nth <= 3; ++nth) {
    DomainFixture fixture;
    const auto other = fixture.attach();
    const DmaMemory a = fixture.allocate(4096);
    const DmaMemory b = fixture.allocate(4096);
    const DmaMemory c = fixture.allocate(4096);
    auto domain = std::make_shared<FakeDomain>();
    domain->fail_map_call = nth;
    const auto attached = fixture.state->attach(domain);
    ASSERT_FALSE(attached);
    EXPECT_EQ(attached.error().code, ErrorCode::mapping_limit) << "the domain's error is returned";
    EXPECT_EQ(attached.error().hint, "raise its limit");
    EXPECT_TRUE(domain->mapped.empty()) << "call " << nth;
    EXPECT_EQ(domain->unmap_calls, nth - 1);
    EXPECT_EQ(other->mapped.size(), 3U);
    EXPECT_EQ(domain.use_count(), 1) << "the Context holds no reference";
    domain->fail_map_call = 0;
    EXPECT_TRUE(fixture.state->attach(domain)) << "attach can be repeated";
  }
}

TEST(Domains, AnAllocationThatFailsInOneIsUndoneInAll) {
  DomainFixture fixture;
  const auto first = fixture.attach();
  const auto second = fixture.attach();
  const auto third = fixture.attach();
  second->fail_map_call = 2;
  const DmaMemory kept = fixture.allocate(4096);
  const auto failed = fixture.state->allocate({.size = 4096});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::mapping_limit);
  for (const auto& domain : {first, second, third}) EXPECT_EQ(domain->mapped.size(), 1U);
  EXPECT_EQ(third->map_calls, 1) << "later domains are not called";
  const DmaMemory next = fixture.allocate(4096);
  EXPECT_EQ(next.segments()[0].iova, kept.segments()[0].iova + 4096) << "the IOVA was freed";
}

TEST(Domains, DetachUnmapsEverythingAndReleasesTheDomain) {
  DomainFixture fixture;
  const auto domain = fixture.attach();
  const DmaMemory memory = fixture.allocate(4096);
  fixture.state->detach(*domain);
  EXPECT_TRUE(domain->mapped.empty());
  EXPECT_EQ(domain.use_count(), 1);
  fixture.state->detach(*domain);
  EXPECT_EQ(domain->unmap_calls, 1) << "a domain that is not attached is not called";
  const DmaMemory later = fixture.allocate(4096);
  EXPECT_EQ(domain->map_calls, 1);
  EXPECT_TRUE(fixture.state->attach(domain));
  EXPECT_EQ(domain->mapped.size(), 2U);
}

TEST(Domains, AreReleasedWithTheContext) {
  const auto domain = std::make_shared<FakeDomain>();
  {
    DomainFixture fixture;
    ASSERT_TRUE(fixture.state->attach(domain));
    const DmaMemory memory = fixture.allocate(4096);
  }
  EXPECT_EQ(domain.use_count(), 1);
  EXPECT_TRUE(domain->mapped.empty());
}

/// Runs mlock in a process without root's rights, so that the limit applies.
std::string lock_as_nobody(std::size_t limit, std::size_t size, bool attach_first) {
  const test::ChildReport report = test::in_child([&] {
    const rlimit memlock{limit, limit};
    if (::setrlimit(RLIMIT_MEMLOCK, &memlock) != 0) return std::string("setrlimit");
    test::become_nobody();
    ContextFixture fixture(ContextFixture::ordinary());
    const auto domain = std::make_shared<FakeDomain>();
    domain->wants_lock = true;
    if (attach_first && !fixture.state->attach(domain)) return std::string("attach");
    const auto memory = fixture.state->allocate({.size = size});
    if (!memory) {
      return std::string(to_string(memory.error().code)) + " " + memory.error().message() + " mapped " +
             std::to_string(domain->mapped.size());
    }
    if (!attach_first) {
      if (const auto attached = fixture.state->attach(domain); !attached) {
        return std::string(to_string(attached.error().code)) + " mapped " + std::to_string(domain->mapped.size());
      }
    }
    return std::string("locked");
  });
  return report.text;
}

TEST(LockedPages, AreLockedWithinTheLimit) {
  if (test::kSanitized) GTEST_SKIP() << "LEFT OUT: a sanitizer turns mlock into nothing";
  EXPECT_EQ(lock_as_nobody(64 * 1024, 64 * 1024, true), "locked");
  EXPECT_EQ(lock_as_nobody(64 * 1024, 64 * 1024, false), "locked");
}

TEST(LockedPages, BeyondTheLimitTheErrorNamesTheRequiredLimit) {
  if (test::kSanitized) GTEST_SKIP() << "LEFT OUT: a sanitizer turns mlock into nothing";
  EXPECT_EQ(
      lock_as_nobody(64 * 1024, 68 * 1024, true),
      "memlock_too_small 68 KiB of DMA memory could not be locked: RLIMIT_MEMLOCK is 64 KiB and 68 KiB are needed: "
      "raise the limit to at least 68 KiB before the start: `ulimit -l 68`, memlock in /etc/security/limits.conf, or "
      "LimitMEMLOCK=68K for a systemd unit; huge pages need none mapped 0");
  EXPECT_EQ(lock_as_nobody(64 * 1024, 68 * 1024, false), "memlock_too_small mapped 0");
}

std::string locked_now() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmLck:")) return line.substr(line.find_first_not_of(" \t", 6));
  }
  return "unknown";
}

TEST(LockedPages, AreUnlockedWhenNoDomainNeedsTheLock) {
  if (test::kSanitized) GTEST_SKIP() << "LEFT OUT: a sanitizer turns mlock into nothing";
  const test::ChildReport report = test::in_child([] {
    ContextFixture fixture(ContextFixture::ordinary());
    const auto domain = std::make_shared<FakeDomain>();
    domain->wants_lock = true;
    const auto memory = fixture.state->allocate({.size = 8192});
    std::string seen = locked_now();
    if (!memory || !fixture.state->attach(domain)) return std::string("failed");
    seen += ", " + locked_now();
    fixture.state->detach(*domain);
    seen += ", " + locked_now();
    domain->fail_map_call = domain->map_calls + 1;
    if (fixture.state->attach(domain)) return std::string("attached");
    return seen + ", " + locked_now();
  });
  EXPECT_EQ(report.text, "0 kB, 8 kB, 0 kB, 0 kB");
}

TEST(LockedPages, AreUnlockedWhenMappingFails) {
  if (test::kSanitized) GTEST_SKIP() << "LEFT OUT: a sanitizer turns mlock into nothing";
  const test::ChildReport report = test::in_child([] {
    DomainFixture fixture;
    const auto domain = std::make_shared<FakeDomain>();
    domain->wants_lock = true;
    if (!fixture.state->attach(domain)) return std::string("not attached");
    const Foreign foreign(8192);
    domain->fail_map_call = domain->map_calls + 1;
    if (fixture.state->register_memory(foreign.bytes())) return std::string("registered");
    std::string seen = locked_now();
    domain->fail_map_call = domain->map_calls + 1;
    if (fixture.state->allocate({.size = 8192})) return std::string("allocated");
    return seen + ", " + locked_now();
  });
  EXPECT_EQ(report.text, "0 kB, 0 kB");
}

TEST(LockedPages, OfTheApplicationKeepItsOwnLocksOnRelease) {
  if (test::kSanitized) GTEST_SKIP() << "LEFT OUT: a sanitizer turns mlock into nothing";
  const test::ChildReport report = test::in_child([] {
    DomainFixture fixture;
    const auto domain = std::make_shared<FakeDomain>();
    domain->wants_lock = true;
    if (!fixture.state->attach(domain)) return std::string("not attached");
    const Foreign foreign(8192);
    std::string seen;
    for (const bool locked_before : {false, true}) {
      if (locked_before) ::mlock(foreign.bytes().data(), 4096);
      {
        const auto memory = fixture.state->register_memory(foreign.bytes());
        seen += (memory ? "" : "not registered, ") + locked_now() + ", ";
      }
      seen += locked_now() + ", ";
    }
    return seen;
  });
  EXPECT_EQ(report.text, "8 kB, 0 kB, 8 kB, 8 kB, ");
}

TEST(RegisteredMemory, HasTheSameIovaInEveryDomain) {
  DomainFixture fixture;
  const auto first = fixture.attach();
  const Foreign foreign(4 * 4096);
  foreign.bytes()[5] = std::byte{42};
  {
    const auto memory = fixture.state->register_memory(foreign.bytes());
    ASSERT_TRUE(memory) << memory.error().message();
    const auto second = fixture.attach();
    EXPECT_EQ(memory->segments()[0].address, foreign.bytes().data());
    EXPECT_EQ(memory->size(), foreign.bytes().size());
    EXPECT_EQ(first->iova_of(foreign.bytes().data()), memory->segments()[0].iova);
    EXPECT_EQ(second->iova_of(foreign.bytes().data()), memory->segments()[0].iova);
    const DmaMemory own = fixture.allocate(4096);
    EXPECT_NE(own.segments()[0].iova, memory->segments()[0].iova);
  }
  EXPECT_TRUE(first->mapped.empty());
  EXPECT_EQ(foreign.bytes()[5], std::byte{42}) << "the application's data is unchanged";
}

TEST(RegisteredMemory, HasAnIovaAlignedLikeTheMemory) {
  DomainFixture fixture;
  const Foreign foreign(6 * kMi);
  const std::uintptr_t start = reinterpret_cast<std::uintptr_t>(foreign.bytes().data());
  const std::size_t skip = (2 * kMi - start % (2 * kMi)) % (2 * kMi);
  const auto memory = fixture.state->register_memory(foreign.bytes().subspan(skip, 2 * kMi));
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->segments()[0].iova % (2 * kMi), 0U) << "an IOMMU can use a page of 2 MiB";
}

TEST(RegisteredMemory, MustBeWholePages) {
  DomainFixture fixture;
  const Foreign foreign(4 * 4096);
  for (const std::span<std::byte> wrong : {foreign.bytes().subspan(1, 4096), foreign.bytes().subspan(0, 4095),
                                           foreign.bytes().subspan(0, 0), std::span<std::byte>()}) {
    const auto memory = fixture.state->register_memory(wrong);
    ASSERT_FALSE(memory);
    EXPECT_EQ(memory.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(memory.error().hint.empty());
  }
}

TEST(RegisteredMemory, MustNotOverlapExistingDmaMemory) {
  DomainFixture fixture;
  const Foreign foreign(8 * 4096);
  const auto pages = [&](std::size_t first, std::size_t count) {
    return foreign.bytes().subspan(first * 4096, count * 4096);
  };
  auto held = fixture.state->register_memory(pages(2, 2));
  ASSERT_TRUE(held);
  for (const auto& overlap : {pages(2, 2), pages(0, 8), pages(1, 2), pages(3, 2), pages(3, 1)}) {
    const auto memory = fixture.state->register_memory(overlap);
    ASSERT_FALSE(memory);
    EXPECT_EQ(memory.error().code, ErrorCode::invalid_argument);
  }
  EXPECT_TRUE(fixture.state->register_memory(pages(0, 2))) << "adjacent memory does not overlap";
  EXPECT_TRUE(fixture.state->register_memory(pages(4, 1)));
  *held = DmaMemory();
  EXPECT_TRUE(fixture.state->register_memory(pages(0, 8))) << "all of it was released";
  const DmaMemory own = fixture.allocate(4096);
  EXPECT_FALSE(fixture.state->register_memory({own.segments()[0].address, 4096}))
      << "the Context's own memory is mapped already";
}

TEST(RegisteredMemory, IsNotKeptIfADomainRejectsIt) {
  DomainFixture fixture;
  const auto first = fixture.attach();
  const auto second = fixture.attach();
  second->fail_map_call = 1;
  const Foreign foreign(4096);
  EXPECT_FALSE(fixture.state->register_memory(foreign.bytes()));
  EXPECT_TRUE(first->mapped.empty());
  const auto again = fixture.state->register_memory(foreign.bytes());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->segments()[0].iova, kMi);
}

}  // namespace
}  // namespace pollux
