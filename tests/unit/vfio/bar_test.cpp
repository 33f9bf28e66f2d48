// SPDX-License-Identifier: BSD-3-Clause
#include <cerrno>

#include "fixture.hpp"

namespace pollux::vfio::test {
namespace {

struct WithAreas : Fixture {
  explicit WithAreas(std::vector<std::array<std::uint64_t, 2>> areas = {}) {
    if (!areas.empty()) set_areas(sparse_areas(areas));
    auto opened = open();
    EXPECT_TRUE(opened) << opened.error().message();
    if (opened) device = std::move(*opened);
  }
  void set_areas(const std::vector<std::byte>& body) {
    ReplyBuilder made(sizeof(vfio_region_info));
    made.add(2, std::vector<std::byte>(8));
    made.add(VFIO_REGION_INFO_CAP_SPARSE_MMAP, body);
    card().regions[VFIO_PCI_BAR3_REGION_INDEX].capabilities = made.tail();
  }
  std::unique_ptr<Device> device;
};

TEST(VfioBar, MapsAWindowOnceAndUnmapsItAtTheEnd) {
  WithAreas fixture;
  auto bar = fixture.device->bar(0);
  ASSERT_TRUE(bar) << bar.error().message();
  EXPECT_EQ(bar->size(), 0x20000u);
  bar->write32(8, 0x1234);
  EXPECT_EQ(fixture.device->bar(0)->read32(8), 0x1234u);
  EXPECT_EQ(fixture.kernel->count("mmap"), 1u);
  fixture.device.reset();
  fixture.expect_clean();
}

TEST(VfioBar, NarrowAccessesTouchOnlyTheirBytes) {
  WithAreas fixture;
  const auto bar = fixture.device->bar(0);
  ASSERT_TRUE(bar) << bar.error().message();
  bar->write32(8, 0x44332211);
  bar->write8(9, 0xAA);
  bar->write16(10, 0xBBCC);
  EXPECT_EQ(bar->read32(8), 0xBBCCAA11u);
  EXPECT_EQ(bar->read8(9), 0xAA);
  EXPECT_EQ(bar->read16(10), 0xBBCC);
}

TEST(VfioBar, RejectsMissingBarsAndIoPorts) {
  WithAreas fixture;
  EXPECT_EQ(fixture.device->bar(1).error().code, ErrorCode::not_found);
  EXPECT_EQ(fixture.device->bar(6).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(fixture.device->bar(2).error().code, ErrorCode::not_supported);
}

TEST(VfioBar, ReportsAMappingThatFails) {
  WithAreas fixture;
  fixture.kernel->fail("mmap", EINVAL);
  EXPECT_EQ(fixture.device->bar(0).error().code, ErrorCode::io_error);
  EXPECT_TRUE(fixture.device->bar(0));
}

TEST(VfioBar, ReadsAllOnesWhereTheMsixTableIsNotMappable) {
  WithAreas fixture({{0x0000, 0x1000}, {0x2000, 0x2000}});
  const auto bar = fixture.device->bar(3);
  ASSERT_TRUE(bar) << bar.error().message();
  EXPECT_EQ(bar->size(), 0x4000u);
  EXPECT_EQ(bar->read32(0x0ffc), 0u);
  EXPECT_EQ(bar->read32(0x1000), 0xffff'ffffu);
  EXPECT_EQ(bar->read32(0x1ffc), 0xffff'ffffu);
  EXPECT_EQ(bar->read32(0x2000), 0u);
  EXPECT_EQ(bar->read32(0x3ffc), 0u);
  fixture.device.reset();
  fixture.expect_clean();
}

TEST(VfioBar, UnmapsASparseWindowAfterOneAreaFails) {
  WithAreas fixture({{0x0000, 0x1000}, {0x2000, 0x2000}});
  fixture.kernel->fail("mmap", ENOMEM, 2);
  EXPECT_FALSE(fixture.device->bar(3));
  EXPECT_EQ(fixture.kernel->mappings(), 0u);
}

TEST(VfioBar, RejectsInconsistentAreas) {
  const std::vector<std::vector<std::array<std::uint64_t, 2>>> lists{
      {{0x0000, 0x5000}},                 // longer than the BAR
      {{0x4000, 0x1000}},                 // beyond its end
      {{0x1000, ~std::uint64_t{0xfff}}},  // wraps around
      {{~std::uint64_t{0xfff}, 0x1000}},
      {{0x0800, 0x1000}},  // not whole pages
      {{0x0000, 0x0800}},
      {{0x0000, 0x2000}, {0x1000, 0x1000}},  // overlap
      {{0x2000, 0x1000}, {0x0000, 0x1000}},  // descend
  };
  for (std::size_t i = 0; i < lists.size(); ++i) {
    WithAreas fixture(lists[i]);
    const auto bar = fixture.device->bar(3);
    ASSERT_FALSE(bar) << "list " << i;
    EXPECT_EQ(bar.error().code, ErrorCode::device_fault) << "list " << i;
    EXPECT_EQ(fixture.kernel->count("mmap"), 0u);
  }
}

TEST(VfioBar, RejectsAreasBeyondTheEndOfTheReply) {
  WithAreas fixture;
  auto body = sparse_areas({{0, 0x1000}});
  body[0] = std::byte{2};
  fixture.set_areas(body);
  EXPECT_EQ(fixture.device->bar(3).error().code, ErrorCode::device_fault);
  fixture.set_areas({});
  EXPECT_EQ(fixture.device->bar(3).error().code, ErrorCode::device_fault);
}

TEST(VfioBar, CannotMapARegionWithoutMappableAreas) {
  WithAreas fixture;
  fixture.set_areas(sparse_areas({}));
  EXPECT_EQ(fixture.device->bar(3).error().code, ErrorCode::not_supported);
}

}  // namespace
}  // namespace pollux::vfio::test
