// SPDX-License-Identifier: BSD-3-Clause
#include <cerrno>

#include "fixture.hpp"

namespace pollux::vfio::test {
namespace {

using testing::HasSubstr;

struct WithDomain : Fixture {
  WithDomain() {
    auto opened = open();
    EXPECT_TRUE(opened) << opened.error().message();
    device = std::move(*opened);
  }
  [[nodiscard]] DmaDomain& domain() const { return device->dma_domain(); }
  /// Requests a mapping that the kernel rejects with `error`, and returns the error.
  [[nodiscard]] Error map_error(int error, std::size_t size = 1 << 20) const {
    kernel->fail("MAP_DMA", error);
    auto mapped = domain().map({nullptr, 0x10'0000, size});
    EXPECT_FALSE(mapped);
    return mapped ? Error{} : mapped.error();
  }
  std::unique_ptr<Device> device;
};

TEST(Container, ReportsTheRangesOfTheIommu) {
  const WithDomain fixture;
  const auto ranges = fixture.domain().usable_iova();
  ASSERT_EQ(ranges.size(), 2u);
  EXPECT_EQ(ranges[0].last, 0xfedf'ffffu);
  EXPECT_EQ(ranges[1].first, 0xfef0'0000u);
  EXPECT_EQ(ranges[1].last, 0xffff'ffff'ffffu);
  EXPECT_FALSE(fixture.domain().wants_locked_pages());
  EXPECT_TRUE(fixture.domain().is_iommu());
}

TEST(Container, MapsAndUnmapsWithCorrectSizes) {
  const WithDomain fixture;
  const DmaSegment segment{nullptr, 0x20'0000, 0x4000};
  ASSERT_TRUE(fixture.domain().map(segment));
  EXPECT_EQ(fixture.kernel->dma().at(0x20'0000), 0x4000u);
  ASSERT_TRUE(fixture.domain().unmap(segment));
  EXPECT_EQ(fixture.kernel->dma_mappings(), 0u);
  EXPECT_THAT(fixture.kernel->sizes("MAP_DMA"), testing::ElementsAre(sizeof(vfio_iommu_type1_dma_map)));
  EXPECT_THAT(fixture.kernel->sizes("UNMAP_DMA"), testing::ElementsAre(sizeof(vfio_iommu_type1_dma_unmap)));
}

TEST(Container, DetectsAnUnmapThatDidNothing) {
  const WithDomain fixture;
  const auto unmapped = fixture.domain().unmap({nullptr, 0x20'0000, 0x4000});
  ASSERT_FALSE(unmapped);
  EXPECT_THAT(unmapped.error().what, HasSubstr("0x200000"));
}

TEST(Container, ReportsTheMemlockLimitAndTheNeededSize) {
  const WithDomain fixture;
  fixture.kernel->memlock = 1024 * 1024;
  const Error error = fixture.map_error(ENOMEM);
  EXPECT_EQ(error.code, ErrorCode::memlock_too_small);
  EXPECT_THAT(error.what, HasSubstr("1024 KiB at IOVA 0x100000"));
  EXPECT_THAT(error.what, HasSubstr("the 1088 KiB that it needs"));
  EXPECT_THAT(error.what, HasSubstr("64 KiB are already locked"));
  EXPECT_THAT(error.what, HasSubstr("RLIMIT_MEMLOCK is 1024 KiB"));
  EXPECT_THAT(error.hint, HasSubstr("ulimit -l 1088"));
  EXPECT_THAT(error.hint, HasSubstr("limits.conf"));
  EXPECT_THAT(error.hint, HasSubstr("LimitMEMLOCK="));
}

TEST(Container, DistinguishesShortMemoryFromALowLimit) {
  const WithDomain fixture;
  fixture.kernel->memlock = RLIM_INFINITY;
  Error error = fixture.map_error(ENOMEM);
  EXPECT_EQ(error.code, ErrorCode::no_memory);
  EXPECT_THAT(error.what, HasSubstr("unlimited"));

  fixture.kernel->memlock = (1024 + 64) * 1024;  // exactly enough
  error = fixture.map_error(ENOMEM);
  EXPECT_EQ(error.code, ErrorCode::no_memory);
  EXPECT_THAT(error.what, HasSubstr("RLIMIT_MEMLOCK is 1088 KiB"));

  fixture.kernel->memlock = 1024;
  fixture.kernel->process_status = "Name:\tpollux\nVmLck:\t      64 kB\nCapEff:\t0000000000004000\n";
  error = fixture.map_error(ENOMEM);
  EXPECT_EQ(error.code, ErrorCode::no_memory);
  EXPECT_THAT(error.what, HasSubstr("CAP_IPC_LOCK"));
}

TEST(Container, ToleratesAnUnreadableProcessStatus) {
  const WithDomain fixture;
  fixture.kernel->memlock = 4096;
  for (const std::string& status : {std::string(), std::string("\nVmLck:"), std::string("\nVmLck:\t\nCapEff:\tzz")}) {
    fixture.kernel->process_status = status;
    EXPECT_EQ(fixture.map_error(ENOMEM).code, ErrorCode::memlock_too_small);
  }
  fixture.kernel->fail("open status", ENOENT);
  EXPECT_EQ(fixture.map_error(ENOMEM).code, ErrorCode::memlock_too_small);
}

TEST(Container, ReportsTheMappingLimit) {
  const WithDomain fixture;
  fixture.kernel->mapping_limit = 2;
  ASSERT_TRUE(fixture.domain().map({nullptr, 0x20'0000, 0x1000}));
  ASSERT_TRUE(fixture.domain().map({nullptr, 0x30'0000, 0x1000}));
  const auto refused = fixture.domain().map({nullptr, 0x40'0000, 0x1000});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::mapping_limit);
  EXPECT_THAT(refused.error().what, HasSubstr("has 2 mappings and allows no more"));
  EXPECT_THAT(refused.error().hint, HasSubstr("dma_entry_limit"));
  EXPECT_THAT(refused.error().hint, HasSubstr("huge pages"));
}

TEST(Container, DoesNotReportTheMappingLimitWhileMappingsAreLeft) {
  const WithDomain fixture;
  EXPECT_EQ(fixture.map_error(ENOSPC).code, ErrorCode::io_error);
  fixture.kernel->mapping_limit.reset();  // a kernel that does not report its limit
  EXPECT_EQ(fixture.map_error(ENOSPC).code, ErrorCode::mapping_limit);
}

TEST(Container, ReportsTheUsableIovaRanges) {
  const WithDomain fixture;
  const auto refused = fixture.domain().map({nullptr, 0xfee0'0000, 0x1000});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::not_supported);
  EXPECT_THAT(refused.error().what, HasSubstr("0xfee00000"));
  EXPECT_THAT(refused.error().what, HasSubstr("0x0 to 0xfedfffff, 0xfef00000 to 0xffffffffffff"));
}

TEST(Container, HasAnErrorForEveryOtherErrno) {
  const WithDomain fixture;
  EXPECT_EQ(fixture.map_error(EEXIST).code, ErrorCode::bad_state);
  EXPECT_EQ(fixture.map_error(EFAULT).code, ErrorCode::invalid_argument);
  EXPECT_EQ(fixture.map_error(EIO).code, ErrorCode::io_error);
}

}  // namespace
}  // namespace pollux::vfio::test
