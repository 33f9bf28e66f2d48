// SPDX-License-Identifier: BSD-3-Clause
#include <cerrno>

#include "fixture.hpp"

namespace pollux::vfio::test {
namespace {

using testing::HasSubstr;

TEST(Sharing, TwoDevicesOfAGroupShareItsDescriptor) {
  Fixture fixture;
  auto first = fixture.open(kFirst);
  auto same_group = fixture.open(kSameGroup);
  ASSERT_TRUE(first && same_group);
  EXPECT_EQ(fixture.kernel->count("open container"), 1u);
  EXPECT_EQ(fixture.kernel->count("open group 7"), 1u);
  EXPECT_EQ(&(*first)->dma_domain(), &(*same_group)->dma_domain());
  first->reset();
  EXPECT_EQ(fixture.kernel->count("close group 7"), 0u);
  same_group->reset();
  fixture.expect_clean();
}

TEST(Sharing, ADeviceOpensOnlyOnce) {
  Fixture fixture;
  auto first = fixture.open(kFirst);
  auto same_group = fixture.open(kSameGroup);
  ASSERT_TRUE(first && same_group);
  const Error error = fixture.open_error(kFirst);
  EXPECT_EQ(error.code, ErrorCode::busy);
  EXPECT_THAT(error.what, HasSubstr(kFirst + " is already open in this Context"));
  EXPECT_TRUE((*first)->set_bus_master(true));
  first->reset();
  EXPECT_TRUE(fixture.open(kFirst));
}

TEST(Sharing, ASecondGroupJoinsTheSameContainer) {
  Fixture fixture;
  auto first = fixture.open(kFirst);
  auto second = fixture.open(kSecond);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(fixture.kernel->count("open container"), 1u);
  EXPECT_EQ(fixture.kernel->count("SET_IOMMU"), 1u);
  EXPECT_EQ(&(*first)->dma_domain(), &(*second)->dma_domain());
}

TEST(Sharing, MemoryIsMappedOnceUntilTheLastDeviceIsClosed) {
  Fixture fixture;
  auto before = fixture.context.allocate({.size = 4096, .purpose = "test"});
  auto first = fixture.open(kFirst);
  auto second = fixture.open(kSecond);
  auto after = fixture.context.allocate({.size = 8192, .purpose = "test"});
  ASSERT_TRUE(before && first && second && after);
  EXPECT_EQ(fixture.kernel->dma_mappings(), 2u);
  EXPECT_EQ(fixture.kernel->dma().at(before->segments()[0].iova), before->segments()[0].size);
  EXPECT_EQ(fixture.kernel->dma().at(after->segments()[0].iova), after->segments()[0].size);
  first->reset();
  EXPECT_EQ(fixture.kernel->dma_mappings(), 2u);
  EXPECT_EQ(fixture.kernel->count("close group 7"), 1u);
  second->reset();
  fixture.expect_clean();
}

TEST(Sharing, TheFirstGroupMayCloseBeforeTheSecond) {
  Fixture fixture;
  auto first = fixture.open(kFirst);
  auto second = fixture.open(kSecond);
  ASSERT_TRUE(first && second);
  first->reset();
  auto again = fixture.open(kSameGroup);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(fixture.kernel->count("open container"), 1u);
}

TEST(Sharing, ADeviceOutlivesItsContextObject) {
  Fixture fixture;
  std::unique_ptr<Device> device;
  {
    Context context{small_context()};
    auto opened = open_vfio(context, kFirst, Host{fixture.kernel, fixture.machine.paths});
    ASSERT_TRUE(opened);
    device = std::move(*opened);
  }
  EXPECT_TRUE(device->set_bus_master(true));
  device.reset();
  fixture.expect_clean();
}

TEST(Sharing, AFailedSecondDeviceDoesNotAffectTheFirst) {
  for (const std::string& step :
       {std::string("open group 8"), std::string("GROUP_GET_STATUS"), std::string("GROUP_SET_CONTAINER"),
        std::string("IOMMU_GET_INFO"), std::string("GROUP_GET_DEVICE_FD"), std::string("DEVICE_GET_INFO")}) {
    Fixture fixture;
    auto first = fixture.open(kFirst);
    ASSERT_TRUE(first);
    const std::size_t descriptors = fixture.kernel->open_descriptors();
    fixture.kernel->fail(step, EIO);
    EXPECT_FALSE(fixture.open(kSecond)) << step;
    EXPECT_EQ(fixture.kernel->open_descriptors(), descriptors) << step;
    EXPECT_TRUE((*first)->set_bus_master(true));
    EXPECT_TRUE(fixture.open(kSecond)) << step;
    first->reset();
    fixture.expect_clean();
  }
}

TEST(Sharing, ReportsAGroupThatCannotUseMappedIovas) {
  Fixture fixture;
  auto first = fixture.open(kFirst);
  fixture.kernel->fail("GROUP_SET_CONTAINER", EINVAL);
  const Error error = fixture.open_error(kSecond);
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_THAT(error.hint, HasSubstr("before memory is allocated"));
}

TEST(Sharing, AddressesStayWithinTheRangesOfEveryGroup) {
  Fixture fixture;
  const IovaRange narrow{0x1000'0000, 0x1fff'ffff};
  fixture.kernel->ranges_with_group[8] = {narrow};
  {
    auto first = fixture.open(kFirst);
    auto second = fixture.open(kSecond);
    ASSERT_TRUE(first && second);
    auto memory = fixture.context.allocate({.size = 4096, .purpose = "test"});
    ASSERT_TRUE(memory) << memory.error().message();
    EXPECT_GE(memory->segments()[0].iova, narrow.first);
    EXPECT_LE(memory->segments()[0].iova, narrow.last);
    memory = {};
    second->reset();
    auto wide = fixture.context.allocate({.size = 4096, .purpose = "test"});
    ASSERT_TRUE(wide);
    EXPECT_LT(wide->segments()[0].iova, narrow.first);
    EXPECT_EQ(fixture.open_error(kSecond).code, ErrorCode::not_supported);
  }
  fixture.expect_clean();
}

}  // namespace
}  // namespace pollux::vfio::test
