// SPDX-License-Identifier: BSD-3-Clause
// Which pages a Context allocates, what it logs, and what remains after its destruction.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sys/wait.h>
#include <csignal>
#include <cstring>

#include "context_fixture.hpp"
#include "machine.hpp"
#include "pollux/mem/context.hpp"

namespace pollux {
namespace {

using test::ContextFixture;
using test::FakeHugePages;
using test::kGi;
using test::kTwoMi;
using test::ReservedHugePages;

ContextOptions with(HugePages policy, std::size_t page_size = 0) {
  ContextOptions options;
  options.huge_pages = policy;
  options.huge_page_size = page_size;
  return options;
}

bool all_zero(const DmaSegment& segment) {
  for (std::size_t i = 0; i < segment.size; ++i) {
    if (segment.address[i] != std::byte{0}) return false;
  }
  return true;
}

TEST(ContextMemory, IsZeroedWholePagesAtLowIova) {
  Context context(ContextFixture::ordinary());
  const auto memory = context.allocate({.size = 10'000, .purpose = "ring"});
  ASSERT_TRUE(memory) << memory.error().message();
  ASSERT_EQ(memory->segments().size(), 1U);
  const DmaSegment& segment = memory->segments()[0];
  EXPECT_EQ(segment.size, 12'288U);
  EXPECT_EQ(memory->size(), 12'288U);
  EXPECT_EQ(memory->page_size(), 4096U);
  EXPECT_EQ(segment.iova, 0x100000U);
  EXPECT_TRUE(all_zero(segment));
}

TEST(ContextMemory, IsZeroedAgainWhenItIsUsedAgain) {
  Context context(ContextFixture::ordinary());
  const std::byte* first = nullptr;
  {
    const auto memory = context.allocate({.size = 8192});
    ASSERT_TRUE(memory);
    first = memory->segments()[0].address;
    std::memset(memory->segments()[0].address, 0xFF, 8192);
  }
  const auto memory = context.allocate({.size = 8192});
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->segments()[0].address, first);
  EXPECT_TRUE(all_zero(memory->segments()[0]));
}

TEST(ContextMemory, RejectsImpossibleSizes) {
  ContextOptions options = ContextFixture::ordinary();
  options.arena_size = kGi;
  Context context(options);
  const auto none = context.allocate({.size = 0});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::invalid_argument);
  const auto over = context.allocate({.size = kGi + 1});
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(over.error().hint.find("arena_size"), std::string::npos);
  const auto wrapping = context.allocate({.size = ~std::size_t{0}});
  ASSERT_FALSE(wrapping);
  const auto full = context.allocate({.size = kGi});
  ASSERT_FALSE(full) << "the first MiB is never allocated";
  EXPECT_EQ(full.error().code, ErrorCode::no_memory);
}

TEST(ContextMemory, ANodeThatDoesNotExistIsAnInvalidArgument) {
  Context context(ContextFixture::ordinary());
  for (const int node : {-2, 4000, 1 << 20}) {
    const auto memory = context.allocate({.size = 4096, .numa_node = node});
    ASSERT_FALSE(memory) << node;
    EXPECT_EQ(memory.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(memory.error().what, "NUMA node " + std::to_string(node) + " does not exist");
    EXPECT_FALSE(memory.error().hint.empty());
  }
  EXPECT_TRUE(context.allocate({.size = 4096, .numa_node = 0})) << "there is always a node 0";
}

TEST(ContextMemory, UsesFreeHugePages) {
  const ReservedHugePages pages(4);
  if (!pages.missing().empty()) GTEST_SKIP() << pages.missing();
  ContextFixture fixture(with(HugePages::prefer));
  const auto memory = fixture.state->allocate({.size = 3 * kTwoMi - 5, .numa_node = 0, .purpose = "pool"});
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->page_size(), kTwoMi);
  EXPECT_EQ(memory->size(), 3 * kTwoMi);
  EXPECT_EQ(memory->segments()[0].iova % kTwoMi, 0U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory->segments()[0].address) % kTwoMi, 0U);
  EXPECT_TRUE(all_zero(memory->segments()[0]));
  EXPECT_TRUE(fixture.log.empty());
}

TEST(ContextMemory, FreesHugePagesOnRelease) {
  const ReservedHugePages pages(2);
  if (!pages.missing().empty()) GTEST_SKIP() << pages.missing();
  const std::uint64_t before = ReservedHugePages::free();
  Context context(with(HugePages::require));
  {
    auto memory = context.allocate({.size = 2 * kTwoMi});
    ASSERT_TRUE(memory) << memory.error().message();
    EXPECT_EQ(ReservedHugePages::free(), before - 2);
    std::memset(memory->segments()[0].address, 0xFF, 2 * kTwoMi);
  }
  EXPECT_EQ(ReservedHugePages::free(), before);
  const auto again = context.allocate({.size = 2 * kTwoMi});
  ASSERT_TRUE(again);
  EXPECT_TRUE(all_zero(again->segments()[0]));
}

TEST(ContextMemory, LeavesNoDescriptorAndNoHugePageBehind) {
  const ReservedHugePages pages(2);
  if (!pages.missing().empty()) GTEST_SKIP() << pages.missing();
  const std::uint64_t before = ReservedHugePages::free();
  const auto descriptors = test::open_descriptors();
  {
    ContextFixture fixture(with(HugePages::prefer));
    const auto huge = fixture.state->allocate({.size = 2 * kTwoMi});
    const auto ordinary = fixture.state->allocate({.size = std::size_t{1} << 20});
    ASSERT_TRUE(huge);
    ASSERT_TRUE(ordinary);
    EXPECT_EQ(huge->page_size(), kTwoMi);
    EXPECT_GT(test::open_descriptors().size(), descriptors.size());
    for (const int descriptor : test::open_descriptors()) {
      if (std::find(descriptors.begin(), descriptors.end(), descriptor) != descriptors.end()) continue;
      EXPECT_EQ(::fcntl(descriptor, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC) << descriptor;
    }
  }
  EXPECT_EQ(test::open_descriptors(), descriptors);
  EXPECT_EQ(ReservedHugePages::free(), before);
}

TEST(ContextMemory, OutlivesItsContext) {
  Result<DmaMemory> memory = fail(ErrorCode::bad_state, "not yet");
  {
    Context context(ContextFixture::ordinary());
    memory = context.allocate({.size = 4096});
  }
  ASSERT_TRUE(memory);
  memory->segments()[0].address[4095] = std::byte{1};
  DmaMemory moved = std::move(*memory);
  EXPECT_FALSE(*memory);
  EXPECT_EQ(memory->segments().size(), 0U);
  EXPECT_TRUE(moved);
}

TEST(ContextMemory, AProcessThatIsKilledLeavesNoHugePageBehind) {
  const ReservedHugePages pages(2);
  if (!pages.missing().empty()) GTEST_SKIP() << pages.missing();
  const std::uint64_t before = ReservedHugePages::free();
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    Context context(with(HugePages::require));
    const auto memory = context.allocate({.size = 2 * kTwoMi});
    const char done = memory ? 'y' : 'n';
    static_cast<void>(!::write(ends[1], &done, 1));
    ::pause();
    ::_exit(0);
  }
  char done = 0;
  ASSERT_EQ(::read(ends[0], &done, 1), 1);
  EXPECT_EQ(done, 'y');
  EXPECT_EQ(ReservedHugePages::free(), before - 2);
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(ReservedHugePages::become_free(before));
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(ContextMemory, FallsBackToOrdinaryPagesWithOneWarning) {
  FakeHugePages fake;
  fake.set(kTwoMi, {.configured = 5, .free = 3});
  ContextFixture fixture(with(HugePages::prefer), fake.paths());
  const auto memory = fixture.state->allocate({.size = 8 * kTwoMi, .purpose = "mempool rx"});
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->page_size(), 4096U);
  ASSERT_TRUE(fixture.state->allocate({.size = 8 * kTwoMi}));
  ASSERT_EQ(fixture.log.size(), 1U);
  EXPECT_EQ(fixture.log[0].first, LogLevel::warning);
  EXPECT_EQ(
      fixture.log[0].second,
      "mempool rx (16 MiB) uses ordinary pages of 4 KiB, since there are too few pages of 2 MiB (8 needed, 3 free); "
      "this causes TLB misses, pins memory one page at a time and takes more IOMMU mappings (4096 pages instead of 8). "
      "To get huge pages, as root: echo 10 > " +
          fake.paths().machine + "/hugepages-2048kB/nr_hugepages (logged once)");
}

TEST(ContextMemory, DoesNotWarnOfWhatFitsInOneOrdinaryPage) {
  FakeHugePages fake;
  fake.set(kTwoMi, {});
  ContextFixture fixture(with(HugePages::prefer), fake.paths());
  ASSERT_TRUE(fixture.state->allocate({.size = 4096}));
  EXPECT_TRUE(fixture.log.empty());
  ASSERT_TRUE(fixture.state->allocate({.size = 4097}));
  EXPECT_EQ(fixture.log.size(), 1U);
}

TEST(ContextMemory, WarnsAgainInAnotherContext) {
  FakeHugePages fake;
  for (int i = 0; i < 2; ++i) {
    ContextFixture fixture(with(HugePages::prefer), fake.paths());
    ASSERT_TRUE(fixture.state->allocate({.size = 8192}));
    ASSERT_EQ(fixture.log.size(), 1U);
    EXPECT_NE(fixture.log[0].second.find("this kernel has no huge pages"), std::string::npos);
  }
}

/// Tests the option HugePages::never.
TEST(ContextMemory, NeverUsesOrdinaryPagesWithoutAWarning) {
  FakeHugePages fake;
  fake.set(kTwoMi, {.configured = 5, .free = 5});
  ContextFixture fixture(ContextFixture::ordinary(), fake.paths());
  const auto memory = fixture.state->allocate({.size = kTwoMi});
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->page_size(), 4096U);
  EXPECT_TRUE(fixture.log.empty());
}

TEST(ContextMemory, MissingRequiredHugePagesAreAnErrorWithTheCommand) {
  FakeHugePages fake;
  fake.set(kTwoMi, {.configured = 2, .free = 1});
  fake.set(kGi, {});
  ContextFixture fixture(with(HugePages::require), fake.paths());
  const auto memory = fixture.state->allocate({.size = 3 * kTwoMi, .purpose = "mempool rx"});
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, ErrorCode::no_memory);
  EXPECT_EQ(memory.error().what,
            "no huge pages for mempool rx (6 MiB): there are too few pages of 2 MiB (3 needed, 1 free)");
  EXPECT_EQ(memory.error().hint, "as root: echo 4 > " + fake.paths().machine + "/hugepages-2048kB/nr_hugepages");
}

TEST(ContextMemory, CountsTheHugePagesOfTheNode) {
  FakeHugePages fake;
  fake.set(kTwoMi, {.configured = 9, .free = 9});
  fake.set_on_node(0, kTwoMi, {.configured = 1});
  ContextFixture fixture(with(HugePages::require), fake.paths());
  const auto memory = fixture.state->allocate({.size = kTwoMi, .numa_node = 0});
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().what,
            "no huge pages for DMA memory (2 MiB): there are too few pages of 2 MiB (1 needed, 0 free on NUMA node 0)");
  EXPECT_EQ(memory.error().hint,
            "as root: echo 2 > " + fake.paths().nodes + "/node0/hugepages/hugepages-2048kB/nr_hugepages");
}

TEST(ContextMemory, AnUnavailablePageSizeIsAnErrorThatListsTheOthers) {
  FakeHugePages fake;
  fake.set(kTwoMi, {});
  fake.set(kGi, {});
  ContextFixture fixture(with(HugePages::require, 16 * kTwoMi), fake.paths());
  const auto memory = fixture.state->allocate({.size = 4096});
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().what,
            "no huge pages for DMA memory (4 KiB): this machine has no huge pages of 33554432 bytes");
  EXPECT_EQ(memory.error().hint, "set ContextOptions::huge_page_size to 0 or to one of 2 MiB, 1 GiB");
}

/// The pages were counted as free but cannot be allocated: another process was faster, or the counts are wrong.
TEST(ContextMemory, FreePagesThatCannotBeAllocatedAreAnError) {
  const ReservedHugePages pages(0);
  if (!pages.missing().empty()) GTEST_SKIP() << pages.missing();
  FakeHugePages fake;
  fake.set(kTwoMi, {.configured = 100'000, .free = 100'000});
  const std::size_t size = (ReservedHugePages::free() + 1) * kTwoMi;
  ContextFixture strict(with(HugePages::require), fake.paths());
  const auto none = strict.state->allocate({.size = size});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::no_memory);
  EXPECT_NE(none.error().what.find("could not be allocated"), std::string::npos) << none.error().what;
  ContextFixture lenient(with(HugePages::prefer), fake.paths());
  const auto ordinary = lenient.state->allocate({.size = size});
  ASSERT_TRUE(ordinary);
  EXPECT_EQ(ordinary->page_size(), 4096U);
  EXPECT_EQ(ordinary->segments()[0].iova, 0x100000U) << "the IOVA of the failed attempt was freed";
  ASSERT_EQ(lenient.log.size(), 1U);
  EXPECT_NE(lenient.log[0].second.find("could not be allocated"), std::string::npos) << lenient.log[0].second;
}

TEST(ContextMemory, AnEmulatorCanMapTheFileAsItsRam) {
  ContextFixture fixture(ContextFixture::ordinary());
  EXPECT_EQ(fixture.state->memory_descriptor(4096), -1);
  const auto memory = fixture.state->allocate({.size = 4096});
  ASSERT_TRUE(memory);
  std::memcpy(memory->segments()[0].address, "frame", 5);
  char read[6] = {};
  ASSERT_EQ(::pread(fixture.state->memory_descriptor(4096), read, 5, static_cast<off_t>(memory->segments()[0].iova)),
            5);
  EXPECT_STREQ(read, "frame");
}

TEST(DmaMemory, IovaOfHandlesTheEdges) {
  Context context(ContextFixture::ordinary());
  const auto memory = context.allocate({.size = 8192});
  ASSERT_TRUE(memory);
  const DmaSegment segment = memory->segments()[0];
  EXPECT_EQ(memory->iova_of(segment.address, 8192), segment.iova);
  EXPECT_EQ(memory->iova_of(segment.address + 8191, 1), segment.iova + 8191);
  EXPECT_EQ(memory->iova_of(segment.address + 5, 0), segment.iova + 5);
  EXPECT_EQ(memory->iova_of(segment.address + 1, 8192), DmaMemory::kNoIova);
  EXPECT_EQ(memory->iova_of(segment.address, ~std::size_t{0}), DmaMemory::kNoIova);
  EXPECT_EQ(memory->iova_of(segment.address + 8192, 0), DmaMemory::kNoIova);
  EXPECT_EQ(memory->iova_of(segment.address - 1, 1), DmaMemory::kNoIova);
  EXPECT_EQ(memory->iova_of(nullptr, 1), DmaMemory::kNoIova);
  EXPECT_EQ(DmaMemory().iova_of(segment.address, 1), DmaMemory::kNoIova);
}

TEST(DmaMemory, AssignmentFreesTheOldMemory) {
  Context context(ContextFixture::ordinary());
  auto first = context.allocate({.size = 4096});
  auto second = context.allocate({.size = 4096});
  ASSERT_TRUE(first);
  ASSERT_TRUE(second);
  const std::uint64_t freed = first->segments()[0].iova;
  *first = std::move(*second);
  const auto third = context.allocate({.size = 4096});
  ASSERT_TRUE(third);
  EXPECT_EQ(third->segments()[0].iova, freed);
}

}  // namespace
}  // namespace pollux
