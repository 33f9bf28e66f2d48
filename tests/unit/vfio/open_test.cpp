// SPDX-License-Identifier: BSD-3-Clause
#include <cerrno>

#include "lab.hpp"

namespace pollux::vfio::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(OpenVfio, OpensAndClosesInOrder) {
  Lab lab;
  auto device = lab.open();
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_EQ((*device)->name(), "vfio:0000:01:00.0");
  EXPECT_EQ((*device)->numa_node(), 1);
  EXPECT_EQ((*device)->identity().device, 0x10c9);
  device->reset();
  lab.expect_clean();
  const auto& journal = lab.kernel->journal();
  const std::vector<std::string> end(journal.end() - 3, journal.end());
  EXPECT_THAT(end, ElementsAre("close device " + kFirst, "close group 7", "close container"));
}

TEST(OpenVfio, OpensAgainAfterClose) {
  Lab lab;
  for (int round = 0; round < 3; ++round) {
    auto device = lab.open("01:00.0");
    ASSERT_TRUE(device) << device.error().message();
  }
  lab.expect_clean();
}

TEST(OpenVfio, TellsTheKernelTheSizeOfEachStructure) {
  Lab lab;
  ASSERT_TRUE(lab.open());
  EXPECT_THAT(lab.kernel->sizes("GROUP_GET_STATUS"), ElementsAre(sizeof(vfio_group_status)));
  EXPECT_THAT(lab.kernel->sizes("DEVICE_GET_INFO"), ElementsAre(sizeof(vfio_device_info)));
  EXPECT_THAT(lab.kernel->sizes("DEVICE_GET_REGION_INFO"), ElementsAre(sizeof(vfio_region_info)));
  const auto of_irqs = lab.kernel->sizes("DEVICE_GET_IRQ_INFO");
  EXPECT_FALSE(of_irqs.empty());
  EXPECT_THAT(of_irqs, testing::Each(sizeof(vfio_irq_info)));
  const auto info = lab.kernel->sizes("IOMMU_GET_INFO");
  ASSERT_EQ(info.size(), 2u);
  EXPECT_EQ(info[0], sizeof(vfio_iommu_type1_info));
  EXPECT_GT(info[1], sizeof(vfio_iommu_type1_info));
}

// Whichever call fails, the error says something, nothing stays open, and the next attempt works.
TEST(OpenVfio, CleansUpWhicheverCallFails) {
  int call = 0;
  for (;; ++call) {
    Lab lab;
    auto memory = lab.context.allocate({.size = 8192, .purpose = "test"});
    ASSERT_TRUE(memory);
    lab.kernel->fail_call(call, EIO);
    {
      auto device = lab.open();
      if (!lab.kernel->failed_call()) break;
      if (!device) {
        EXPECT_FALSE(device.error().what.empty());
        EXPECT_EQ(lab.kernel->open_descriptors(), 0u) << "call " << call << ", " << device.error().message();
      }
    }
    EXPECT_THAT(lab.kernel->violations(), testing::IsEmpty()) << "call " << call;
    auto again = lab.open();
    EXPECT_TRUE(again) << "call " << call << ": " << again.error().message();
  }
  EXPECT_GT(call, 20);
}

TEST(OpenVfio, RefusesAMalformedAddress) {
  Lab lab;
  EXPECT_EQ(lab.refusal("eth0").code, ErrorCode::invalid_argument);
  EXPECT_EQ(lab.refusal("0000:05:00.0").code, ErrorCode::not_found);
  EXPECT_THAT(lab.kernel->journal(), testing::IsEmpty());
}

TEST(OpenVfio, NamesAMissingIommu) {
  Lab lab;
  lab.machine.add({.address = "0000:03:00.0", .driver = "vfio-pci"});
  const Error error = lab.refusal("0000:03:00.0");
  EXPECT_EQ(error.code, ErrorCode::no_iommu);
  EXPECT_THAT(error.what, HasSubstr("0000:03:00.0 is in no IOMMU group"));
  EXPECT_THAT(error.hint, HasSubstr("intel_iommu=on"));
  EXPECT_THAT(error.hint, HasSubstr("amd_iommu=on"));
  EXPECT_THAT(error.hint, HasSubstr("VT-d"));
}

TEST(OpenVfio, TakesNoIommuModeForNoIommu) {
  Lab lab;
  lab.machine.write(lab.machine.paths.dev / "vfio/noiommu-7", "");
  const Error error = lab.refusal();
  EXPECT_EQ(error.code, ErrorCode::no_iommu);
  EXPECT_THAT(error.what, HasSubstr("no-IOMMU mode"));
}

TEST(OpenVfio, NamesTheModuleThatIsNotLoaded) {
  Lab lab;
  lab.add("0000:03:00.0", 9, "igb");
  lab.machine.unload_driver("vfio-pci");
  Error error = lab.refusal("0000:03:00.0");
  EXPECT_EQ(error.code, ErrorCode::module_not_loaded);
  EXPECT_THAT(error.hint, HasSubstr("modprobe vfio-pci"));
  EXPECT_THAT(error.hint, HasSubstr("pollux bind 0000:03:00.0"));

  lab.machine.load_driver("vfio-pci");
  std::filesystem::remove(lab.machine.paths.dev / "vfio/vfio");
  error = lab.refusal("0000:03:00.0");
  EXPECT_EQ(error.code, ErrorCode::module_not_loaded);
}

TEST(OpenVfio, NamesTheModuleWhenTheNodeIsStale) {
  for (const int missing : {ENOENT, ENODEV, ENXIO}) {
    Lab lab;
    lab.kernel->fail("open container", missing);
    const Error error = lab.refusal();
    EXPECT_EQ(error.code, ErrorCode::module_not_loaded);
    EXPECT_THAT(error.what, HasSubstr("dev/vfio/vfio is not there"));
    EXPECT_EQ(error.hint, "modprobe vfio-pci");
  }
}

TEST(OpenVfio, NamesTheMissingType1Module) {
  Lab lab;
  lab.kernel->type1 = false;
  const Error error = lab.refusal();
  EXPECT_EQ(error.code, ErrorCode::module_not_loaded);
  EXPECT_EQ(error.hint, "modprobe vfio_iommu_type1");
  lab.expect_clean();
}

TEST(OpenVfio, RefusesAnotherVersionOfTheInterface) {
  Lab lab;
  lab.kernel->api_version = 1;
  const Error error = lab.refusal();
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_THAT(error.what, HasSubstr("version 1"));
  lab.expect_clean();
}

TEST(OpenVfio, SaysWhoHasADeviceThatIsNotBound) {
  Lab lab;
  lab.add("0000:03:00.0", 9, "igb");
  Error error = lab.refusal("0000:03:00.0");
  EXPECT_EQ(error.code, ErrorCode::not_bound);
  EXPECT_THAT(error.what, HasSubstr("kernel driver igb"));
  EXPECT_EQ(error.hint, "pollux bind 0000:03:00.0");

  lab.add("0000:04:00.0", 10, "");
  error = lab.refusal("0000:04:00.0");
  EXPECT_EQ(error.code, ErrorCode::not_bound);
  EXPECT_THAT(error.what, HasSubstr("has no driver"));
}

TEST(OpenVfio, SaysWhichNodeMayNotBeOpened) {
  Lab lab;
  lab.kernel->fail("open group 7", EACCES);
  Error error = lab.refusal();
  EXPECT_EQ(error.code, ErrorCode::permission_denied);
  EXPECT_THAT(error.what, HasSubstr("/dev/vfio/7"));
  EXPECT_THAT(error.hint, HasSubstr("pollux bind --user"));
  EXPECT_THAT(error.hint, HasSubstr("root"));
  lab.kernel->fail("open container", EPERM);
  error = lab.refusal();
  EXPECT_EQ(error.code, ErrorCode::permission_denied);
  EXPECT_THAT(error.what, HasSubstr("/dev/vfio/vfio"));
  lab.expect_clean();
}

TEST(OpenVfio, SaysThatTheGroupIsInUse) {
  Lab lab;
  lab.kernel->fail("open group 7", EBUSY);
  const Error error = lab.refusal();
  EXPECT_EQ(error.code, ErrorCode::group_in_use);
  EXPECT_THAT(error.what, HasSubstr("another process"));
  EXPECT_THAT(error.hint, HasSubstr("fuser -v "));
  EXPECT_THAT(error.hint, HasSubstr("/dev/vfio/7"));
  lab.expect_clean();
}

TEST(OpenVfio, HasAGroupInUseByAnotherContext) {
  Lab lab;
  auto device = lab.open();
  ASSERT_TRUE(device);
  Context other{small_context()};
  auto second = open_vfio(other, kTwin, Host{lab.kernel, lab.machine.paths});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::group_in_use);
}

TEST(OpenVfio, NamesEveryDeviceInTheWayOfItsGroup) {
  Lab lab;
  lab.add("0000:01:00.2", 7, "igb");
  lab.add("0000:01:00.3", 7, "snd_hda_intel");
  lab.kernel->not_viable = {7};
  const Error error = lab.refusal();
  EXPECT_EQ(error.code, ErrorCode::group_not_viable);
  EXPECT_THAT(error.what, HasSubstr("0000:01:00.2 (igb)"));
  EXPECT_THAT(error.what, HasSubstr("0000:01:00.3 (snd_hda_intel)"));
  EXPECT_THAT(error.what, testing::Not(HasSubstr(kTwin)));
  EXPECT_THAT(error.hint, HasSubstr("0000:01:00.2"));
  lab.expect_clean();
}

TEST(OpenVfio, SaysThatAGroupIsClaimedWhereNobodyIsInTheWay) {
  Lab lab;
  lab.kernel->not_viable = {7};
  EXPECT_EQ(lab.refusal().code, ErrorCode::group_in_use);
  lab.kernel->not_viable = {};
  lab.kernel->fail("GROUP_SET_CONTAINER", EBUSY);
  EXPECT_EQ(lab.refusal().code, ErrorCode::group_in_use);
  lab.expect_clean();
}

TEST(OpenVfio, ExplainsMissingInterruptRemapping) {
  Lab lab;
  lab.kernel->fail("SET_IOMMU", EPERM);
  const Error error = lab.refusal();
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_THAT(error.hint, HasSubstr("allow_unsafe_interrupts"));
  lab.expect_clean();
}

TEST(OpenVfio, FailsWhereMemoryThatExistsCannotBeMapped) {
  Lab lab;
  auto memory = lab.context.allocate({.size = 1 << 20, .purpose = "test"});
  ASSERT_TRUE(memory);
  lab.kernel->fail("MAP_DMA", ENOMEM);
  lab.kernel->memlock = 64 * 1024;
  EXPECT_EQ(lab.refusal().code, ErrorCode::memlock_too_small);
  lab.expect_clean();
}

}  // namespace
}  // namespace pollux::vfio::test
