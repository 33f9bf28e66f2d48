// SPDX-License-Identifier: BSD-3-Clause
#include <cerrno>

#include "lab.hpp"

namespace pollux::vfio::test {
namespace {

using testing::HasSubstr;

TEST(Sharing, TwoDevicesOfAGroupShareItsDescriptor) {
  Lab lab;
  auto first = lab.open(kFirst);
  auto twin = lab.open(kTwin);
  ASSERT_TRUE(first && twin);
  EXPECT_EQ(lab.kernel->count("open container"), 1u);
  EXPECT_EQ(lab.kernel->count("open group 7"), 1u);
  EXPECT_EQ(&(*first)->dma_domain(), &(*twin)->dma_domain());
  first->reset();
  EXPECT_EQ(lab.kernel->count("close group 7"), 0u);
  twin->reset();
  lab.expect_clean();
}

TEST(Sharing, ADeviceOpensOnlyOnce) {
  Lab lab;
  auto first = lab.open(kFirst);
  auto twin = lab.open(kTwin);
  ASSERT_TRUE(first && twin);
  const Error error = lab.refusal(kFirst);
  EXPECT_EQ(error.code, ErrorCode::busy);
  EXPECT_THAT(error.what, HasSubstr(kFirst + " is open in this Context already"));
  EXPECT_TRUE((*first)->set_bus_master(true));
  first->reset();
  EXPECT_TRUE(lab.open(kFirst));
}

TEST(Sharing, AFurtherGroupJoinsTheSameContainer) {
  Lab lab;
  auto first = lab.open(kFirst);
  auto second = lab.open(kSecond);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(lab.kernel->count("open container"), 1u);
  EXPECT_EQ(lab.kernel->count("SET_IOMMU"), 1u);
  EXPECT_EQ(&(*first)->dma_domain(), &(*second)->dma_domain());
}

TEST(Sharing, MemoryIsMappedOnceAndStaysUntilTheLastDevice) {
  Lab lab;
  auto before = lab.context.allocate({.size = 4096, .purpose = "test"});
  auto first = lab.open(kFirst);
  auto second = lab.open(kSecond);
  auto after = lab.context.allocate({.size = 8192, .purpose = "test"});
  ASSERT_TRUE(before && first && second && after);
  EXPECT_EQ(lab.kernel->dma_mappings(), 2u);
  EXPECT_EQ(lab.kernel->dma().at(before->segments()[0].iova), before->segments()[0].size);
  EXPECT_EQ(lab.kernel->dma().at(after->segments()[0].iova), after->segments()[0].size);
  first->reset();
  EXPECT_EQ(lab.kernel->dma_mappings(), 2u);
  EXPECT_EQ(lab.kernel->count("close group 7"), 1u);
  second->reset();
  lab.expect_clean();
}

TEST(Sharing, TheFirstGroupMayLeaveBeforeTheSecond) {
  Lab lab;
  auto first = lab.open(kFirst);
  auto second = lab.open(kSecond);
  ASSERT_TRUE(first && second);
  first->reset();
  auto again = lab.open(kTwin);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(lab.kernel->count("open container"), 1u);
}

TEST(Sharing, ADeviceOutlivesTheHandleOfItsContext) {
  Lab lab;
  std::unique_ptr<Device> device;
  {
    Context context{small_context()};
    auto opened = open_vfio(context, kFirst, Host{lab.kernel, lab.machine.paths});
    ASSERT_TRUE(opened);
    device = std::move(*opened);
  }
  EXPECT_TRUE(device->set_bus_master(true));
  device.reset();
  lab.expect_clean();
}

TEST(Sharing, AFailedSecondDeviceLeavesTheFirstAlone) {
  for (const std::string& step :
       {std::string("open group 8"), std::string("GROUP_GET_STATUS"), std::string("GROUP_SET_CONTAINER"),
        std::string("IOMMU_GET_INFO"), std::string("GROUP_GET_DEVICE_FD"), std::string("DEVICE_GET_INFO")}) {
    Lab lab;
    auto first = lab.open(kFirst);
    ASSERT_TRUE(first);
    const std::size_t descriptors = lab.kernel->open_descriptors();
    lab.kernel->fail(step, EIO);
    EXPECT_FALSE(lab.open(kSecond)) << step;
    EXPECT_EQ(lab.kernel->open_descriptors(), descriptors) << step;
    EXPECT_TRUE((*first)->set_bus_master(true));
    EXPECT_TRUE(lab.open(kSecond)) << step;
    first->reset();
    lab.expect_clean();
  }
}

TEST(Sharing, ExplainsAGroupThatCannotReachMappedMemory) {
  Lab lab;
  auto first = lab.open(kFirst);
  lab.kernel->fail("GROUP_SET_CONTAINER", EINVAL);
  const Error error = lab.refusal(kSecond);
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_THAT(error.hint, HasSubstr("before memory is allocated"));
}

TEST(Sharing, AddressesStayWithinWhatEveryGroupReaches) {
  Lab lab;
  const IovaRange narrow{0x1000'0000, 0x1fff'ffff};
  lab.kernel->ranges_with_group[8] = {narrow};
  {
    auto first = lab.open(kFirst);
    auto second = lab.open(kSecond);
    ASSERT_TRUE(first && second);
    auto memory = lab.context.allocate({.size = 4096, .purpose = "test"});
    ASSERT_TRUE(memory) << memory.error().message();
    EXPECT_GE(memory->segments()[0].iova, narrow.first);
    EXPECT_LE(memory->segments()[0].iova, narrow.last);
    memory = {};
    second->reset();
    auto wide = lab.context.allocate({.size = 4096, .purpose = "test"});
    ASSERT_TRUE(wide);
    EXPECT_LT(wide->segments()[0].iova, narrow.first);
    EXPECT_EQ(lab.refusal(kSecond).code, ErrorCode::not_supported);
  }
  lab.expect_clean();
}

}  // namespace
}  // namespace pollux::vfio::test
