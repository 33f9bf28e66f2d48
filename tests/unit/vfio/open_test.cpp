// SPDX-License-Identifier: BSD-3-Clause
#include <cerrno>

#include "fixture.hpp"

namespace pollux::vfio::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(OpenVfio, OpensAndClosesInOrder) {
  Fixture fixture;
  auto device = fixture.open();
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_EQ((*device)->name(), "vfio:0000:01:00.0");
  EXPECT_EQ((*device)->numa_node(), 1);
  EXPECT_EQ((*device)->identity().device, 0x10c9);
  device->reset();
  fixture.expect_clean();
  const auto& journal = fixture.kernel->journal();
  const std::vector<std::string> end(journal.end() - 3, journal.end());
  EXPECT_THAT(end, ElementsAre("close device " + kFirst, "close group 7", "close container"));
}

TEST(OpenVfio, OpensAgainAfterClose) {
  Fixture fixture;
  for (int round = 0; round < 3; ++round) {
    auto device = fixture.open("01:00.0");
    ASSERT_TRUE(device) << device.error().message();
  }
  fixture.expect_clean();
}

TEST(OpenVfio, PassesTheSizeOfEachStructureToTheKernel) {
  Fixture fixture;
  ASSERT_TRUE(fixture.open());
  EXPECT_THAT(fixture.kernel->sizes("GROUP_GET_STATUS"), ElementsAre(sizeof(vfio_group_status)));
  EXPECT_THAT(fixture.kernel->sizes("DEVICE_GET_INFO"), ElementsAre(sizeof(vfio_device_info)));
  EXPECT_THAT(fixture.kernel->sizes("DEVICE_GET_REGION_INFO"), ElementsAre(sizeof(vfio_region_info)));
  const auto of_irqs = fixture.kernel->sizes("DEVICE_GET_IRQ_INFO");
  EXPECT_FALSE(of_irqs.empty());
  EXPECT_THAT(of_irqs, testing::Each(sizeof(vfio_irq_info)));
  const auto info = fixture.kernel->sizes("IOMMU_GET_INFO");
  ASSERT_EQ(info.size(), 2u);
  EXPECT_EQ(info[0], sizeof(vfio_iommu_type1_info));
  EXPECT_GT(info[1], sizeof(vfio_iommu_type1_info));
}

// Fails each call in turn: the error has a text, nothing stays open, and the next attempt works.
TEST(OpenVfio, CleansUpAfterAnyFailedCall) {
  int call = 0;
  for (;; ++call) {
    Fixture fixture;
    auto memory = fixture.context.allocate({.size = 8192, .purpose = "test"});
    ASSERT_TRUE(memory);
    fixture.kernel->fail_call(call, EIO);
    {
      auto device = fixture.open();
      if (!fixture.kernel->failed_call()) break;
      if (!device) {
        EXPECT_FALSE(device.error().what.empty());
        EXPECT_EQ(fixture.kernel->open_descriptors(), 0u) << "call " << call << ", " << device.error().message();
      }
    }
    EXPECT_THAT(fixture.kernel->violations(), testing::IsEmpty()) << "call " << call;
    auto again = fixture.open();
    EXPECT_TRUE(again) << "call " << call << ": " << again.error().message();
  }
  EXPECT_GT(call, 20);
}

TEST(OpenVfio, RejectsAMalformedAddress) {
  Fixture fixture;
  EXPECT_EQ(fixture.open_error("eth0").code, ErrorCode::invalid_argument);
  EXPECT_EQ(fixture.open_error("0000:05:00.0").code, ErrorCode::not_found);
  EXPECT_THAT(fixture.kernel->journal(), testing::IsEmpty());
}

TEST(OpenVfio, ReportsAMissingIommu) {
  Fixture fixture;
  fixture.machine.add({.address = "0000:03:00.0", .driver = "vfio-pci"});
  const Error error = fixture.open_error("0000:03:00.0");
  EXPECT_EQ(error.code, ErrorCode::no_iommu);
  EXPECT_THAT(error.what, HasSubstr("0000:03:00.0 has no IOMMU group"));
  EXPECT_THAT(error.hint, HasSubstr("intel_iommu=on"));
  EXPECT_THAT(error.hint, HasSubstr("amd_iommu=on"));
  EXPECT_THAT(error.hint, HasSubstr("VT-d"));
}

TEST(OpenVfio, TreatsAGroupOfTheNoIommuModeAsNoIommu) {
  Fixture fixture;
  fixture.machine.write(fixture.machine.paths.dev / "vfio/noiommu-7", "");
  const Error error = fixture.open_error();
  EXPECT_EQ(error.code, ErrorCode::no_iommu);
  EXPECT_THAT(error.what, HasSubstr("no-IOMMU mode"));
}

TEST(OpenVfio, NamesAModuleThatIsNotLoaded) {
  Fixture fixture;
  fixture.add("0000:03:00.0", 9, "igb");
  fixture.machine.unload_driver("vfio-pci");
  Error error = fixture.open_error("0000:03:00.0");
  EXPECT_EQ(error.code, ErrorCode::module_not_loaded);
  EXPECT_THAT(error.hint, HasSubstr("modprobe vfio-pci"));
  EXPECT_THAT(error.hint, HasSubstr("pollux bind 0000:03:00.0"));

  fixture.machine.load_driver("vfio-pci");
  std::filesystem::remove(fixture.machine.paths.dev / "vfio/vfio");
  error = fixture.open_error("0000:03:00.0");
  EXPECT_EQ(error.code, ErrorCode::module_not_loaded);
}

TEST(OpenVfio, NamesTheModuleWhenTheNodeIsStale) {
  for (const int missing : {ENOENT, ENODEV, ENXIO}) {
    Fixture fixture;
    fixture.kernel->fail("open container", missing);
    const Error error = fixture.open_error();
    EXPECT_EQ(error.code, ErrorCode::module_not_loaded);
    EXPECT_THAT(error.what, HasSubstr("dev/vfio/vfio does not exist"));
    EXPECT_EQ(error.hint, "modprobe vfio-pci");
  }
}

TEST(OpenVfio, NamesTheMissingType1Module) {
  Fixture fixture;
  fixture.kernel->type1 = false;
  const Error error = fixture.open_error();
  EXPECT_EQ(error.code, ErrorCode::module_not_loaded);
  EXPECT_EQ(error.hint, "modprobe vfio_iommu_type1");
  fixture.expect_clean();
}

TEST(OpenVfio, RejectsAnotherApiVersion) {
  Fixture fixture;
  fixture.kernel->api_version = 1;
  const Error error = fixture.open_error();
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_THAT(error.what, HasSubstr("version 1"));
  fixture.expect_clean();
}

TEST(OpenVfio, NamesTheDriverOfADeviceThatIsNotBound) {
  Fixture fixture;
  fixture.add("0000:03:00.0", 9, "igb");
  Error error = fixture.open_error("0000:03:00.0");
  EXPECT_EQ(error.code, ErrorCode::not_bound);
  EXPECT_THAT(error.what, HasSubstr("kernel driver igb"));
  EXPECT_EQ(error.hint, "pollux bind 0000:03:00.0");

  fixture.add("0000:04:00.0", 10, "");
  error = fixture.open_error("0000:04:00.0");
  EXPECT_EQ(error.code, ErrorCode::not_bound);
  EXPECT_THAT(error.what, HasSubstr("has no driver"));
}

TEST(OpenVfio, NamesTheFileThatMayNotBeOpened) {
  Fixture fixture;
  fixture.kernel->fail("open group 7", EACCES);
  Error error = fixture.open_error();
  EXPECT_EQ(error.code, ErrorCode::permission_denied);
  EXPECT_THAT(error.what, HasSubstr("/dev/vfio/7"));
  EXPECT_THAT(error.hint, HasSubstr("pollux bind --user $(id -nu "));
  EXPECT_THAT(error.hint, HasSubstr("root"));
  fixture.kernel->fail("open container", EPERM);
  error = fixture.open_error();
  EXPECT_EQ(error.code, ErrorCode::permission_denied);
  EXPECT_THAT(error.what, HasSubstr("/dev/vfio/vfio"));
  fixture.expect_clean();
}

TEST(OpenVfio, ReportsAGroupInUse) {
  Fixture fixture;
  fixture.kernel->fail("open group 7", EBUSY);
  const Error error = fixture.open_error();
  EXPECT_EQ(error.code, ErrorCode::group_in_use);
  EXPECT_THAT(error.what, HasSubstr("another process"));
  EXPECT_THAT(error.hint, HasSubstr("fuser -v "));
  EXPECT_THAT(error.hint, HasSubstr("/dev/vfio/7"));
  fixture.expect_clean();
}

TEST(OpenVfio, ReportsAGroupInUseByAnotherContext) {
  Fixture fixture;
  auto device = fixture.open();
  ASSERT_TRUE(device);
  Context other{small_context()};
  auto second = open_vfio(other, kSameGroup, Host{fixture.kernel, fixture.machine.paths});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::group_in_use);
}

TEST(OpenVfio, NamesEveryDeviceThatMakesItsGroupNotViable) {
  Fixture fixture;
  fixture.add("0000:01:00.2", 7, "igb");
  fixture.add("0000:01:00.3", 7, "snd_hda_intel");
  fixture.kernel->not_viable = {7};
  const Error error = fixture.open_error();
  EXPECT_EQ(error.code, ErrorCode::group_not_viable);
  EXPECT_THAT(error.what, HasSubstr("0000:01:00.2 (igb)"));
  EXPECT_THAT(error.what, HasSubstr("0000:01:00.3 (snd_hda_intel)"));
  EXPECT_THAT(error.what, testing::Not(HasSubstr(kSameGroup)));
  EXPECT_THAT(error.hint, HasSubstr("0000:01:00.2"));
  fixture.expect_clean();
}

TEST(OpenVfio, ReportsAGroupInUseIfNoOtherDeviceIsTheCause) {
  Fixture fixture;
  fixture.kernel->not_viable = {7};
  EXPECT_EQ(fixture.open_error().code, ErrorCode::group_in_use);
  fixture.kernel->not_viable = {};
  fixture.kernel->fail("GROUP_SET_CONTAINER", EBUSY);
  EXPECT_EQ(fixture.open_error().code, ErrorCode::group_in_use);
  fixture.expect_clean();
}

TEST(OpenVfio, ExplainsMissingInterruptRemapping) {
  Fixture fixture;
  fixture.kernel->fail("SET_IOMMU", EPERM);
  const Error error = fixture.open_error();
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_THAT(error.hint, HasSubstr("allow_unsafe_interrupts"));
  fixture.expect_clean();
}

TEST(OpenVfio, FailsIfExistingMemoryCannotBeMapped) {
  Fixture fixture;
  auto memory = fixture.context.allocate({.size = 1 << 20, .purpose = "test"});
  ASSERT_TRUE(memory);
  fixture.kernel->fail("MAP_DMA", ENOMEM);
  fixture.kernel->memlock = 64 * 1024;
  EXPECT_EQ(fixture.open_error().code, ErrorCode::memlock_too_small);
  fixture.expect_clean();
}

TEST(OpenVfio, GivesAVirtualFunctionsTokenToTheKernel) {
  const std::string token = "vf_token=14d63f20-8445-11ea-8900-1f9ce7d5650d";
  Fixture fixture;
  fixture.card().token = " " + token;
  const Error without = fixture.open_error();
  EXPECT_EQ(without.code, ErrorCode::permission_denied);
  EXPECT_THAT(without.what, HasSubstr("without a vf_token"));
  EXPECT_THAT(without.hint, HasSubstr("?vf_token=UUID"));
  const Error wrong = fixture.open_error(kFirst + "?vf_token=00000000-8445-11ea-8900-1f9ce7d5650d");
  EXPECT_EQ(wrong.code, ErrorCode::permission_denied);
  fixture.expect_clean();
  EXPECT_TRUE(fixture.open(kFirst + "?" + token));
  EXPECT_TRUE(fixture.open(kFirst + "?via=group&" + token));
  EXPECT_EQ(fixture.open_error(kSecond + "?" + token).code, ErrorCode::permission_denied) << "it has no token";
}

TEST(OpenVfio, EnablesVirtualFunctionsThroughTheKernel) {
  Fixture fixture;
  const auto directory = fixture.machine.paths.sys / "bus/pci/devices" / kFirst;
  auto device = fixture.open();
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_EQ((*device)->max_functions(), 0u);
  EXPECT_FALSE((*device)->set_functions(1)) << "a card without them";
  fixture.machine.write(directory / "sriov_totalvfs", "7\n");
  fixture.machine.write(directory / "sriov_numvfs", "0\n");
  EXPECT_EQ((*device)->max_functions(), 7u);
  EXPECT_EQ((*device)->set_functions(8).error().code, ErrorCode::invalid_argument);
  ASSERT_TRUE((*device)->set_functions(2));
  EXPECT_EQ((*device)->functions(), 2u);
  std::filesystem::remove(directory / "sriov_numvfs");
  const auto refused = (*device)->set_functions(3);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::not_supported);
  EXPECT_THAT(refused.error().hint, HasSubstr("enable_sriov"));
  std::filesystem::create_directory(directory / "sriov_numvfs");
  const auto failed = (*device)->set_functions(3);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::io_error);
  EXPECT_THAT(failed.error().what, HasSubstr("the kernel refuses virtual functions"));
  EXPECT_THAT(failed.error().hint, HasSubstr("dmesg")) << "the module's parameter is not the reason";
}

// The kernel would wait for the process without limit.
TEST(OpenVfio, KeepsFunctionsThatAProcessHasOpen) {
  Fixture fixture;
  const std::string function = "0000:01:10.0";
  fixture.add(function, 9);
  fixture.machine.write(fixture.machine.paths.dev / "vfio/9", "");
  const auto directory = fixture.machine.paths.sys / "bus/pci/devices" / kFirst;
  fixture.machine.write(directory / "sriov_totalvfs", "7\n");
  fixture.machine.write(directory / "sriov_numvfs", "1\n");
  std::filesystem::create_symlink(directory.parent_path() / function, directory / "virtfn0");
  auto device = fixture.open();
  ASSERT_TRUE(device) << device.error().message();
  fixture.machine.add_process(4711, "holder", fixture.machine.paths.dev / "vfio/9");
  const auto refused = (*device)->set_functions(0);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::busy);
  EXPECT_THAT(refused.error().what, HasSubstr(function + " is open in process 4711 (holder)"));
  EXPECT_THAT(refused.error().hint, HasSubstr("close the virtual function"));
  EXPECT_EQ((*device)->functions(), 1u);
  std::filesystem::remove_all(fixture.machine.paths.proc / "4711");
  const auto removed = (*device)->set_functions(0);
  EXPECT_TRUE(removed) << removed.error().message();
  EXPECT_EQ((*device)->functions(), 0u);
}

}  // namespace
}  // namespace pollux::vfio::test
