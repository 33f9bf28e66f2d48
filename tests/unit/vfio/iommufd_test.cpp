// SPDX-License-Identifier: BSD-3-Clause
#include <cerrno>

#include "fixture.hpp"

namespace pollux::vfio::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A machine whose kernel has IOMMUFD and a file for each device.
struct IommufdFixture : Fixture {
  IommufdFixture() {
    machine.write(machine.paths.dev / "iommu", "");
    add_file(kFirst, "vfio0");
    add_file(kTwin, "vfio1");
    add_file(kSecond, "vfio2");
  }
  void add_file(const std::string& address, const std::string& file) {
    machine.write(machine.device(*pci::Address::parse(address)) / "vfio-dev" / file / "dev", "");
    machine.write(machine.paths.dev / "vfio/devices" / file, "");
    kernel->cards[address].file = file;
  }
  /// The error of opening a device whose `step` fails.
  [[nodiscard]] Error refusal_at(const std::string& step, int error, const std::string& which = kIommufd) {
    kernel->fail(step, error);
    Error refused = refusal(which);
    expect_clean();
    return refused;
  }
  static inline const std::string kIommufd = kFirst + "?via=iommufd";
};

TEST(IommufdAccess, IsTakenWhereTheKernelHasIt) {
  IommufdFixture fixture;
  auto device = fixture.open();
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_EQ((*device)->dma_domain().name(), "IOMMUFD");
  EXPECT_EQ((*device)->name(), "vfio:" + kFirst);
  EXPECT_EQ(fixture.kernel->count("open container"), 0u);
  device->reset();
  fixture.expect_clean();
  const auto& journal = fixture.kernel->journal();
  const std::vector<std::string> end(journal.end() - 2, journal.end());
  EXPECT_THAT(end, ElementsAre("close device " + kFirst, "close iommufd"));
}

TEST(IommufdAccess, IsLeftAloneWhereTheGroupIsAskedFor) {
  IommufdFixture fixture;
  auto device = fixture.open(kFirst + "?via=group");
  ASSERT_TRUE(device) << device.error().message();
  EXPECT_EQ((*device)->dma_domain().name(), "VFIO container");
  EXPECT_EQ(fixture.kernel->count("open iommu"), 0u);
}

TEST(IommufdAccess, MapsWhatThereIsAndWhatComes) {
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
  auto twin = fixture.open(kTwin);
  auto second = fixture.open(kSecond);
  ASSERT_TRUE(memory && first && twin && second);
  EXPECT_EQ(fixture.kernel->count("open iommu"), 1u);
  EXPECT_EQ(fixture.kernel->count("IOAS_ALLOC"), 1u);
  EXPECT_EQ(fixture.kernel->count("IOAS_MAP"), 1u);
  EXPECT_EQ(&(*first)->dma_domain(), &(*second)->dma_domain());
  first->reset();
  twin->reset();
  EXPECT_EQ(fixture.kernel->dma_mappings(), 1u);
  second->reset();
  fixture.expect_clean();
  EXPECT_TRUE(fixture.open(kFirst)) << "and all over again";
}

TEST(IommufdAccess, AddressesStayWithinWhatEveryDeviceReaches) {
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
  EXPECT_EQ(fixture.refusal(kSecond).code, ErrorCode::not_supported);
}

// Whichever call fails, the error says something, nothing stays open, and the next attempt works.
TEST(IommufdAccess, CleansUpWhicheverCallFails) {
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

TEST(IommufdAccess, AFailedSecondDeviceLeavesTheFirstAlone) {
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

TEST(IommufdAccess, FallsBackToTheGroupWhereOnlyThatWasHandedOver) {
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
  const Error error = fixture.refusal_at("open iommu", ENOENT);
  EXPECT_EQ(error.code, ErrorCode::module_not_loaded);
  EXPECT_THAT(error.hint, HasSubstr("modprobe iommufd"));
  EXPECT_THAT(error.hint, HasSubstr("?via=group"));
}

TEST(IommufdErrors, NoPermission) {
  IommufdFixture fixture;
  const Error iommu = fixture.refusal_at("open iommu", EACCES);
  EXPECT_EQ(iommu.code, ErrorCode::permission_denied);
  EXPECT_THAT(iommu.hint, HasSubstr("chmod 0666"));
  const Error device = fixture.refusal_at("open vfio0", EACCES);
  EXPECT_EQ(device.code, ErrorCode::permission_denied);
  EXPECT_THAT(device.hint, HasSubstr("pollux bind --user $USER " + kFirst));
}

TEST(IommufdErrors, NoFileOfItsOwn) {
  Fixture fixture;
  std::filesystem::create_directories(fixture.machine.device(*pci::Address::parse(kFirst)) / "vfio-dev/vfio0/power");
  const Error error = fixture.refusal(IommufdFixture::kIommufd);
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_THAT(error.what, HasSubstr("CONFIG_VFIO_DEVICE_CDEV"));
  EXPECT_THAT(error.hint, HasSubstr("vfio:" + kFirst + "?via=group"));
}

TEST(IommufdErrors, AFileThatSysfsNamesAndIsNotThere) {
  IommufdFixture fixture;
  const Error error = fixture.refusal_at("open vfio0", ENOENT);
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

TEST(IommufdErrors, TheGroupIsOpenElsewhere) {
  IommufdFixture fixture;
  auto first = fixture.open(kFirst + "?via=group");
  ASSERT_TRUE(first);
  Context other{small_context()};
  const auto again = open_vfio(other, kFirst, Host{fixture.kernel, fixture.machine.paths});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::group_in_use);
}

TEST(IommufdErrors, AnotherDeviceOfTheGroupIsTheKernels) {
  IommufdFixture fixture;
  fixture.add("0000:01:00.2", 7, "igb");
  const Error error = fixture.refusal_at("BIND_IOMMUFD", EBUSY);
  EXPECT_EQ(error.code, ErrorCode::group_not_viable);
  EXPECT_THAT(error.what, HasSubstr("0000:01:00.2"));
}

TEST(IommufdErrors, InterruptsThatAreNotRemapped) {
  IommufdFixture fixture;
  const Error error = fixture.refusal_at("BIND_IOMMUFD", EPERM);
  EXPECT_EQ(error.code, ErrorCode::group_in_use);
  EXPECT_THAT(error.hint, HasSubstr("/sys/module/iommufd/parameters/allow_unsafe_interrupts"));
}

TEST(IommufdErrors, MemoryThatTheDeviceCannotReach) {
  IommufdFixture fixture;
  const Error error = fixture.refusal_at("ATTACH_IOMMUFD_PT", EADDRINUSE);
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_THAT(error.hint, HasSubstr("before memory is allocated"));
}

TEST(IommufdErrors, ALimitOnLockedMemoryCountsWhatThisDomainPinned) {
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
  EXPECT_THAT(refused.error().what, HasSubstr("512 KiB are locked already"));
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
  EXPECT_EQ(after.error().code, ErrorCode::no_memory) << "what was unmapped is not pinned any more";
  EXPECT_THAT(after.error().what, HasSubstr("; 0 KiB are locked already"));
}

TEST(IommufdErrors, RangesThatCannotBeTrue) {
  for (const std::vector<IovaRange>& told :
       {std::vector<IovaRange>{}, {{5, 4}}, {{0, 0xfff}, {0x800, 0x1fff}}, std::vector<IovaRange>(5000)}) {
    IommufdFixture fixture;
    fixture.kernel->iommufd_ranges = told;
    const Error error = fixture.refusal(IommufdFixture::kIommufd);
    EXPECT_TRUE(error.code == ErrorCode::device_fault || error.code == ErrorCode::io_error) << error.message();
    fixture.expect_clean();
  }
}

TEST(IommufdErrors, AnUnmapThatDidSomethingElse) {
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
