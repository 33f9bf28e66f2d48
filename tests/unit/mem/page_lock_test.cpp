// SPDX-License-Identifier: BSD-3-Clause
#include "mem/dma_region.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "machine.hpp"

namespace pollux {
namespace {

/// Two reserved, inaccessible pages of this process.
class TwoPages {
 public:
  TwoPages()
      : size_(2 * ordinary_page_size()),
        address_(static_cast<std::byte*>(
            ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {}
  TwoPages(const TwoPages&) = delete;
  TwoPages& operator=(const TwoPages&) = delete;
  ~TwoPages() { ::munmap(address_, size_); }

  [[nodiscard]] DmaRegion region() const {
    DmaRegion region;
    region.segments = {{.address = address_, .iova = 0, .size = size_}};
    region.page_size = ordinary_page_size();
    return region;
  }
  void unmap_the_second() { ::munmap(address_ + size_ / 2, size_ / 2); }

 private:
  std::size_t size_;
  std::byte* address_;
};

TEST(PageLock, IsClearedAfterUnlocking) {
  if (test::kSanitized) GTEST_SKIP() << "LEFT OUT: a sanitizer turns mlock into nothing";
  const TwoPages pages;
  DmaRegion region = pages.region();
  ASSERT_TRUE(lock_pages(region));
  EXPECT_TRUE(region.locked);
  unlock_pages(region);
  EXPECT_FALSE(region.locked);
}

TEST(PageLock, OfUnmappedMemoryDoesNotBlameTheLimit) {
  if (test::kSanitized) GTEST_SKIP() << "LEFT OUT: a sanitizer turns mlock into nothing";
  TwoPages pages;
  pages.unmap_the_second();
  DmaRegion region = pages.region();
  const auto locked = lock_pages(region);
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().code, ErrorCode::no_memory);
  EXPECT_EQ(locked.error().what, "8 KiB of DMA memory could not be locked (Cannot allocate memory)");
  EXPECT_EQ(locked.error().hint, "check that the memory is mapped and that the machine has enough free memory");
  EXPECT_FALSE(region.locked);
}

}  // namespace
}  // namespace pollux
