// SPDX-License-Identifier: BSD-3-Clause
#include <unistd.h>

#include <cerrno>

#include "fixture.hpp"

namespace pollux::vfio::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A machine with /dev/iommu, and with one file in /dev/vfio/devices for each device.
struct IommufdFixture : Fixture {
  IommufdFixture() {
    machine.write(machine.paths.dev / "iommu", "");
    add_file(kFirst, "vfio0");
    add_file(kSameGroup, "vfio1");
    add_file(kSecond, "vfio2");
  }
  void add_file(const std::string& address, const std::string& file) {
    machine.write(machine.device(*pci::Address::parse(address)) / "vfio-dev" / file / "dev", "");
    machine.write(machine.paths.dev / "vfio/devices" / file, "");
    kernel->cards[address].file = file;
  }
  /// Opens a device while `step` fails, and returns the error.
  [[nodiscard]] Error open_error_at(const std::string& step, int error, const std::string& uri = kIommufd) {
    kernel->fail(step, error);
    Error result = open_error(uri);
    expect_clean();
    return result;
  }
  static inline const std::string kIommufd = kFirst + "?via=iommufd";
};

TEST(IommufdAccess, IsChosenIfTheKernelHasIt) {
  IommufdFixture fixture;
  auto device = fixture.open();
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_EQ((*device)->dma_domain().name(), "IOMMUFD");
  EXPECT_EQ((*device)->name(), "vfio:" + kFirst);
  EXPECT_TRUE((*device)->dma_domain().is_iommu());
  EXPECT_EQ(fixture.kernel->count("open container"), 0u);
  device->reset();
  fixture.expect_clean();
  const auto& journal = fixture.kernel->journal();
  const std::vector<std::string> end(journal.end() - 2, journal.end());
  EXPECT_THAT(end, ElementsAre("close device " + kFirst, "close iommufd"));
}

TEST(IommufdAccess, IsNotChosenIfTheUriRequestsTheGroup) {
  IommufdFixture fixture;
  auto device = fixture.open(kFirst + "?via=group");
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_EQ((*device)->dma_domain().name(), "VFIO container");
  EXPECT_EQ(fixture.kernel->count("open iommu"), 0u);
}

TEST(IommufdAccess, MapsExistingAndLaterMemory) {
  IommufdFixture fixture;
  auto before = fixture.context.allocate({.size = 8192, .purpose = "test"});
  auto device = fixture.open();
  ASSERT_TRUE(before && device);
  auto after = fixture.context.allocate({.size = 4096, .purpose = "test"});
  ASSERT_TRUE(after);
  EXPECT_EQ(fixture.kernel->dma_mappings(), 2u);
  EXPECT_EQ(fixture.kernel->dma().at(before->segments()[0].iova), 8192u);
  EXPECT_EQ(fixture.kernel->dma().at(after->segments()[0].iova), 4096u);
  *after = DmaMemory();
  EXPECT_EQ(fixture.kernel->dma_mappings(), 1u);
  device->reset();
  fixture.expect_clean();
}

TEST(IommufdAccess, DevicesShareOneAddressSpace) {
  IommufdFixture fixture;
  auto memory = fixture.context.allocate({.size = 4096, .purpose = "test"});
  auto first = fixture.open(kFirst);
  auto same_group = fixture.open(kSameGroup);
  auto second = fixture.open(kSecond);
  ASSERT_TRUE(memory && first && same_group && second);
  EXPECT_EQ(fixture.kernel->count("open iommu"), 1u);
  EXPECT_EQ(fixture.kernel->count("IOAS_ALLOC"), 1u);
  EXPECT_EQ(fixture.kernel->count("IOAS_MAP"), 1u);
  EXPECT_EQ(&(*first)->dma_domain(), &(*second)->dma_domain());
  first->reset();
  same_group->reset();
  EXPECT_EQ(fixture.kernel->dma_mappings(), 1u);
  second->reset();
  fixture.expect_clean();
  EXPECT_TRUE(fixture.open(kFirst)) << "after the last device was closed";
}

TEST(IommufdAccess, AddressesStayWithinTheRangesOfEveryDevice) {
  IommufdFixture fixture;
  const IovaRange narrow{0x1000'0000, 0x1fff'ffff};
  fixture.kernel->ranges_with_group[8] = {narrow};
  auto first = fixture.open(kFirst);
  auto second = fixture.open(kSecond);
  ASSERT_TRUE(first && second);
  auto memory = fixture.context.allocate({.size = 4096, .purpose = "test"});
  ASSERT_TRUE(memory) << memory.error().message();
  EXPECT_GE(memory->segments()[0].iova, narrow.first);
  EXPECT_LE(memory->segments()[0].iova, narrow.last);
  *memory = DmaMemory();
  second->reset();
  auto wide = fixture.context.allocate({.size = 4096, .purpose = "test"});
  ASSERT_TRUE(wide);
  EXPECT_LT(wide->segments()[0].iova, narrow.first);
  EXPECT_EQ(fixture.open_error(kSecond).code, ErrorCode::not_supported);
}

// Lets each system call fail in turn. The error has a message, nothing stays open, and the next attempt works.
TEST(IommufdAccess, CleansUpAfterAnyFailedCall) {
  int call = 0;
  for (;; ++call) {
    IommufdFixture fixture;
    auto memory = fixture.context.allocate({.size = 8192, .purpose = "test"});
    ASSERT_TRUE(memory);
    fixture.kernel->fail_call(call, EIO);
    {
      auto device = fixture.open();
      if (!fixture.kernel->failed_call()) break;
      if (!device) {
        EXPECT_FALSE(device.error().what.empty());
      }
    }
    fixture.expect_clean();
    fixture.kernel->fail_call(1 << 30, 0);
    EXPECT_TRUE(fixture.open()) << "after call " << call << " failed";
  }
  EXPECT_GT(call, 15);
}

TEST(IommufdAccess, AFailedSecondDeviceDoesNotAffectTheFirst) {
  for (const char* step : {"open vfio2", "BIND_IOMMUFD", "ATTACH_IOMMUFD_PT", "IOAS_IOVA_RANGES", "DEVICE_GET_INFO"}) {
    IommufdFixture fixture;
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

TEST(IommufdAccess, FallsBackToTheGroupIfOnlyThatIsAccessible) {
  for (const char* step : {"open vfio0", "open iommu"}) {
    IommufdFixture fixture;
    fixture.machine.write(fixture.machine.paths.dev / "vfio/7", "");
    fixture.kernel->fail(step, EACCES);
    auto device = fixture.open();
    ASSERT_TRUE(device) << device.error().message();
    EXPECT_EQ((*device)->dma_domain().name(), "VFIO container");
  }
}

TEST(IommufdErrors, NoIommufd) {
  IommufdFixture fixture;
  const Error error = fixture.open_error_at("open iommu", ENOENT);
  EXPECT_EQ(error.code, ErrorCode::module_not_loaded);
  EXPECT_THAT(error.hint, HasSubstr("modprobe iommufd"));
  EXPECT_THAT(error.hint, HasSubstr("?via=group"));
}

TEST(IommufdErrors, NoPermission) {
  IommufdFixture fixture;
  const Error iommu = fixture.open_error_at("open iommu", EACCES);
  EXPECT_EQ(iommu.code, ErrorCode::permission_denied);
  EXPECT_THAT(iommu.hint, HasSubstr("chmod 0666"));
  const Error device = fixture.open_error_at("open vfio0", EACCES);
  EXPECT_EQ(device.code, ErrorCode::permission_denied);
  EXPECT_THAT(device.hint, HasSubstr("pollux bind --user $(id -nu " + std::to_string(::geteuid()) + ") " + kFirst));
}

TEST(IommufdErrors, NoDeviceFile) {
  Fixture fixture;
  std::filesystem::create_directories(fixture.machine.device(*pci::Address::parse(kFirst)) / "vfio-dev/vfio0/power");
  const Error error = fixture.open_error(IommufdFixture::kIommufd);
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_THAT(error.what, HasSubstr("CONFIG_VFIO_DEVICE_CDEV"));
  EXPECT_THAT(error.hint, HasSubstr("vfio:" + kFirst + "?via=group"));
}

TEST(IommufdErrors, DeviceFileInSysfsButNotInDev) {
  IommufdFixture fixture;
  const Error error = fixture.open_error_at("open vfio0", ENOENT);
  EXPECT_EQ(error.code, ErrorCode::not_found);
  EXPECT_THAT(error.hint, HasSubstr("in a container"));
}

TEST(IommufdErrors, InUse) {
  IommufdFixture fixture;
  auto first = fixture.open();
  ASSERT_TRUE(first);
  Context other{small_context()};
  const auto again = open_vfio(other, kFirst, Host{fixture.kernel, fixture.machine.paths});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::busy);
  EXPECT_THAT(again.error().hint, HasSubstr("fuser -v /dev/vfio/devices/"));
  EXPECT_TRUE((*first)->set_bus_master(true));
}

TEST(IommufdErrors, GroupIsOpenInAnotherContext) {
  IommufdFixture fixture;
  auto first = fixture.open(kFirst + "?via=group");
  ASSERT_TRUE(first);
  Context other{small_context()};
  const auto again = open_vfio(other, kFirst, Host{fixture.kernel, fixture.machine.paths});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::group_in_use);
}

TEST(IommufdErrors, AnotherDeviceOfTheGroupHasAKernelDriver) {
  IommufdFixture fixture;
  fixture.add("0000:01:00.2", 7, "igb");
  const Error error = fixture.open_error_at("BIND_IOMMUFD", EBUSY);
  EXPECT_EQ(error.code, ErrorCode::group_not_viable);
  EXPECT_THAT(error.what, HasSubstr("0000:01:00.2"));
}

TEST(IommufdErrors, InterruptsAreNotRemapped) {
  IommufdFixture fixture;
  const Error error = fixture.open_error_at("BIND_IOMMUFD", EPERM);
  EXPECT_EQ(error.code, ErrorCode::group_in_use);
  EXPECT_THAT(error.hint, HasSubstr("/sys/module/iommufd/parameters/allow_unsafe_interrupts"));
}

TEST(IommufdErrors, MemoryIsMappedOutsideTheDevicesRanges) {
  IommufdFixture fixture;
  const Error error = fixture.open_error_at("ATTACH_IOMMUFD_PT", EADDRINUSE);
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_THAT(error.hint, HasSubstr("before memory is allocated"));
}

TEST(IommufdErrors, TheMemlockLimitCountsMemoryPinnedByThisDomain) {
  IommufdFixture fixture;
  fixture.kernel->memlock = 1024 * 1024;
  auto device = fixture.open();
  ASSERT_TRUE(device);
  DmaDomain& domain = (*device)->dma_domain();
  ASSERT_TRUE(domain.map({nullptr, 0x80'0000, 512 * 1024}));
  fixture.kernel->fail("IOAS_MAP", ENOMEM);
  const auto refused = domain.map({nullptr, 0x10'0000, 1024 * 1024});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::memlock_too_small);
  EXPECT_THAT(refused.error().what, HasSubstr("512 KiB are already locked"));
  EXPECT_THAT(refused.error().hint, HasSubstr("ulimit -l 1536"));
  fixture.kernel->fail("IOAS_MAP", ENOMEM);
  const auto others = domain.map({nullptr, 0x10'0000, 4096});
  ASSERT_FALSE(others);
  EXPECT_EQ(others.error().code, ErrorCode::no_memory);
  EXPECT_THAT(others.error().what, HasSubstr("the user's other processes"));
  EXPECT_TRUE(domain.unmap({nullptr, 0x80'0000, 512 * 1024}));
  fixture.kernel->fail("IOAS_MAP", ENOMEM);
  const auto after = domain.map({nullptr, 0x10'0000, 1024 * 1024});
  ASSERT_FALSE(after);
  EXPECT_EQ(after.error().code, ErrorCode::no_memory) << "unmapped memory is no longer pinned";
  EXPECT_THAT(after.error().what, HasSubstr("; 0 KiB are already locked"));
}

TEST(IommufdErrors, InconsistentRanges) {
  for (const std::vector<IovaRange>& reported :
       {std::vector<IovaRange>{}, {{5, 4}}, {{0, 0xfff}, {0x800, 0x1fff}}, std::vector<IovaRange>(5000)}) {
    IommufdFixture fixture;
    fixture.kernel->iommufd_ranges = reported;
    const Error error = fixture.open_error(IommufdFixture::kIommufd);
    EXPECT_TRUE(error.code == ErrorCode::device_fault || error.code == ErrorCode::io_error) << error.message();
    fixture.expect_clean();
  }
}

TEST(IommufdErrors, UnmapOfAnotherSegment) {
  IommufdFixture fixture;
  auto device = fixture.open();
  ASSERT_TRUE(device);
  DmaDomain& domain = (*device)->dma_domain();
  ASSERT_TRUE(domain.map({nullptr, 0x20'0000, 0x4000}));
  EXPECT_FALSE(domain.unmap({nullptr, 0x30'0000, 0x4000}));
  EXPECT_FALSE(domain.unmap({nullptr, 0x20'0000, 0x8000}));
}

}  // namespace
}  // namespace pollux::vfio::test
