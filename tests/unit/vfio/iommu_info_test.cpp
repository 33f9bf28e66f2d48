// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/region.hpp"

#include "fixture.hpp"

namespace pollux::vfio::test {
namespace {

/// Opens the device on a kernel that reports `capabilities` for its IOMMU, and returns the usable ranges.
Result<std::vector<IovaRange>> ranges_from(std::optional<std::vector<std::byte>> capabilities) {
  Fixture fixture;
  fixture.kernel->iommu_capabilities = std::move(capabilities);
  auto device = fixture.open();
  if (!device) {
    fixture.expect_clean();
    return pass_on(std::move(device));
  }
  return (*device)->dma_domain().usable_iova();
}

std::vector<std::byte> chain_with(const std::vector<std::byte>& body) {
  ReplyBuilder made(sizeof(vfio_iommu_type1_info));
  made.add(VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, body);
  return made.tail();
}

TEST(IommuInfo, AssumesTheUsualRangesForAnOldKernel) {
  const auto ranges = ranges_from(std::vector<std::byte>{});
  ASSERT_TRUE(ranges);
  ASSERT_EQ(ranges->size(), 2u);
  EXPECT_EQ((*ranges)[0].last, 0xfedf'ffffu);
  EXPECT_EQ((*ranges)[1].last, 0x7f'ffff'ffffu);
}

TEST(IommuInfo, AcceptsASingleRange) {
  const auto ranges = ranges_from(chain_with(iova_ranges({{0, ~std::uint64_t{0}}})));
  ASSERT_TRUE(ranges) << ranges.error().message();
  EXPECT_EQ((*ranges)[0].last, ~std::uint64_t{0});
}

TEST(IommuInfo, RejectsInconsistentLists) {
  auto too_many = iova_ranges({{0, 0xfff}});
  too_many[0] = std::byte{2};
  auto endless = iova_ranges({{0, 0xfff}});
  std::fill_n(endless.begin(), 4, std::byte{0xff});
  const std::vector<std::vector<std::byte>> lists{
      iova_ranges({}),
      iova_ranges({{0x2000, 0x1fff}}),
      iova_ranges({{0x2000, 0x2fff}, {0x1000, 0x1fff}}),
      iova_ranges({{0x1000, 0x2fff}, {0x2000, 0x3fff}}),
      too_many,
      endless,
  };
  constexpr std::size_t kTooShort = 4;  // from this list on the reply is too short
  for (std::size_t i = 0; i < lists.size(); ++i) {
    const auto ranges = ranges_from(chain_with(lists[i]));
    ASSERT_FALSE(ranges) << "list " << i;
    EXPECT_EQ(ranges.error().code, ErrorCode::device_fault) << "list " << i;
    EXPECT_EQ(ranges.error().what.find("longer than what the kernel returned") != std::string::npos, i >= kTooShort)
        << i;
  }
}

TEST(IommuInfo, EndsAChainThatLoops) {
  ReplyBuilder made(sizeof(vfio_iommu_type1_info));
  const auto first = made.add(VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, std::vector<std::byte>(24));
  const auto second = made.add(VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, one_number(65535));
  made.set_next(second, first);
  EXPECT_TRUE(ranges_from(made.tail()));
}

}  // namespace
}  // namespace pollux::vfio::test
