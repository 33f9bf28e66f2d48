// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/machine.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "mem/context_state.hpp"
#include "pollux/mem/context.hpp"

namespace pollux::qtest {
namespace {

constexpr std::uint64_t kRam = std::uint64_t{1} << 30;

struct Ram {
  Ram()
      : memory(context.allocate({.size = 3 * 4096}).value()), domain(context.state()->memory_descriptor(4096), kRam) {}
  Context context{{.huge_pages = HugePages::never}};
  DmaMemory memory;
  Domain domain;
};

TEST(Domain, AcceptsMemoryOfTheContextsFile) {
  Ram ram;
  EXPECT_TRUE(ram.domain.map(ram.memory.segments()[0]));
  EXPECT_TRUE(ram.domain.unmap(ram.memory.segments()[0]));
}

TEST(Domain, OffersTheRamAboveTheFirstMebibyte) {
  Ram ram;
  const auto usable = ram.domain.usable_iova();
  ASSERT_EQ(usable.size(), 1u);
  EXPECT_EQ(usable[0].first, std::uint64_t{1} << 20);
  EXPECT_EQ(usable[0].last, kRam - 1);
}

TEST(Domain, AcceptsASegmentWhoseMappingIsSplit) {
  Ram ram;
  DmaSegment segment = ram.memory.segments()[0];
  ASSERT_EQ(::madvise(segment.address + 4096, 4096, MADV_RANDOM), 0);
  EXPECT_TRUE(ram.domain.map(segment));
}

TEST(Domain, RejectsTheApplicationsOwnMemory) {
  Ram ram;
  void* const own = ::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(own, MAP_FAILED);
  const auto mapped = ram.domain.map({static_cast<std::byte*>(own), 1 << 20, 8192});
  ASSERT_FALSE(mapped);
  EXPECT_EQ(mapped.error().code, ErrorCode::not_supported);
  EXPECT_NE(mapped.error().hint.find("huge_pages"), std::string::npos);
  ::munmap(own, 8192);
}

TEST(Domain, RejectsTheFilesMemoryAtAnotherIova) {
  Ram ram;
  DmaSegment segment = ram.memory.segments()[0];
  segment.iova += 4096;
  EXPECT_FALSE(ram.domain.map(segment));
}

TEST(Domain, RejectsMemoryThatIsOnlyPartlyInTheFile) {
  Ram ram;
  DmaSegment segment = ram.memory.segments()[0];
  segment.size += 4096;
  EXPECT_FALSE(ram.domain.map(segment));
}

TEST(Domain, RejectsMemoryOfAnotherContext) {
  Ram ram;
  Ram other;
  EXPECT_FALSE(ram.domain.map(other.memory.segments()[0]));
}

}  // namespace
}  // namespace pollux::qtest
