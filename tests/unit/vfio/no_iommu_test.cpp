// SPDX-License-Identifier: BSD-3-Clause
#include <unistd.h>

#include <cerrno>

#include "backends/vfio/device_access.hpp"
#include "fixture.hpp"

namespace pollux::vfio::test {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kPresent = std::uint64_t{1} << 63U;
const std::string kParameter = "module/vfio/parameters/enable_unsafe_noiommu_mode";

/// A machine without an IOMMU. VFIO's no-IOMMU mode is switched on.
struct NoIommuFixture : Fixture {
  NoIommuFixture() {
    machine.write(machine.paths.sys / kParameter, "Y");
    kernel->no_iommu = true;
    kernel->pagemap = [](std::uint64_t page) { return kPresent | (page & 0xffff) | 0x10'0000; };
    add_group(7);
    add_group(8);
    ContextOptions options = small_context(clock);
    options.log = [this](LogLevel level, std::string_view text) { log.emplace_back(level, std::string(text)); };
    logged.emplace(options);
  }
  void add_group(std::uint32_t group) {
    machine.write(machine.paths.dev / ("vfio/noiommu-" + std::to_string(group)), "");
    kernel->no_iommu_groups.insert(group);
  }
  Result<std::unique_ptr<Device>> open_without_iommu(const std::string& address = kFirst) {
    return open_vfio(*logged, address + "?via=noiommu", Host{kernel, machine.paths});
  }
  Error open_error_without_iommu() {
    auto opened = open_without_iommu();
    EXPECT_FALSE(opened);
    expect_clean();
    return opened ? Error{} : opened.error();
  }

  std::vector<std::pair<LogLevel, std::string>> log;
  std::optional<Context> logged;
};

TEST(NoIommu, OpensAndClosesInOrderAndWarnsOnce) {
  NoIommuFixture fixture;
  {
    auto first = fixture.open_without_iommu(kFirst);
    ASSERT_TRUE(first) << first.error().message();
    auto second = fixture.open_without_iommu(kSecond);
    ASSERT_TRUE(second) << second.error().message();
    EXPECT_EQ(&(*first)->dma_domain(), &(*second)->dma_domain());
    EXPECT_NE((*first)->dma_domain().physical_addresses(), nullptr);
    EXPECT_FALSE((*first)->dma_domain().is_iommu());
    EXPECT_EQ(fixture.kernel->count("open container"), 1u);
  }
  fixture.expect_clean();
  ASSERT_TRUE(fixture.open_without_iommu(kFirst));
  ASSERT_EQ(fixture.log.size(), 1u);
  EXPECT_EQ(fixture.log[0].first, LogLevel::warning);
  EXPECT_THAT(fixture.log[0].second, HasSubstr(kFirst + " is used without an IOMMU"));
  EXPECT_THAT(fixture.log[0].second, HasSubstr("overwrite any memory of this machine"));
}

TEST(NoIommu, IsNeverChosenAutomatically) {
  NoIommuFixture fixture;
  for (const std::string& uri : {kFirst, kFirst + "?via=group", kFirst + "?via=iommufd"}) {
    const Error error = fixture.open_error(uri);
    EXPECT_EQ(error.code, ErrorCode::no_iommu);
    EXPECT_THAT(error.hint, HasSubstr("intel_iommu=on"));
    EXPECT_THAT(error.hint, HasSubstr("vfio:" + kFirst + "?via=noiommu"));
  }
  EXPECT_EQ(fixture.kernel->count("open group 7"), 0u);
}

TEST(NoIommu, CleansUpAfterAnyFailedCall) {
  int call = 0;
  for (;; ++call) {
    NoIommuFixture fixture;
    fixture.kernel->fail_call(call, EIO);
    {
      auto device = fixture.open_without_iommu();
      if (!fixture.kernel->failed_call()) break;
      if (!device) {
        EXPECT_FALSE(device.error().what.empty());
      }
    }
    fixture.expect_clean();
    fixture.kernel->fail_call(1 << 30, 0);
    EXPECT_TRUE(fixture.open_without_iommu()) << "after call " << call << " failed";
  }
  EXPECT_GT(call, 15);
}

TEST(NoIommu, DevicesBehindAnIommuUseAnotherContainer) {
  NoIommuFixture fixture;
  fixture.add("0000:03:00.0", 9);
  auto without = fixture.open_without_iommu();
  auto behind = open_vfio(*fixture.logged, "0000:03:00.0", Host{fixture.kernel, fixture.machine.paths});
  ASSERT_TRUE(without);
  ASSERT_TRUE(behind) << behind.error().message();
  EXPECT_EQ(fixture.kernel->count("open container"), 2u);
  EXPECT_NE(&(*without)->dma_domain(), &(*behind)->dma_domain());
}

TEST(NoIommu, RejectsAContextThatHasMemory) {
  NoIommuFixture fixture;
  auto memory = fixture.logged->allocate({.size = 4096, .purpose = "test"});
  ASSERT_TRUE(memory);
  const Error error = fixture.open_error_without_iommu();
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_THAT(error.hint, HasSubstr("before pools are created"));
  EXPECT_TRUE(fixture.log.empty()) << "no warning: the device was not opened";
}

TEST(NoIommu, RejectsADeviceBehindAnIommu) {
  NoIommuFixture fixture;
  fixture.add("0000:03:00.0", 9);
  const auto refused = fixture.open_without_iommu("0000:03:00.0");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::not_supported);
  EXPECT_THAT(refused.error().hint, HasSubstr("open it as vfio:0000:03:00.0"));
}

TEST(NoIommu, HintsHowToSwitchTheModeOn) {
  NoIommuFixture fixture;
  fixture.machine.write(fixture.machine.paths.sys / kParameter, "N");
  const Error error = fixture.open_error_without_iommu();
  EXPECT_EQ(error.code, ErrorCode::no_iommu);
  EXPECT_THAT(error.hint, HasSubstr("echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode"));
  EXPECT_THAT(error.hint, HasSubstr("pollux bind " + kFirst));
}

TEST(NoIommu, ReportsAKernelWithoutTheMode) {
  NoIommuFixture fixture;
  std::filesystem::remove_all(fixture.machine.paths.sys / "module/vfio/parameters");
  const Error without = fixture.open_error_without_iommu();
  EXPECT_EQ(without.code, ErrorCode::not_supported);
  EXPECT_THAT(without.hint, HasSubstr("CONFIG_VFIO_NOIOMMU"));
  std::filesystem::remove_all(fixture.machine.paths.sys / "module/vfio");
  std::filesystem::remove(fixture.machine.paths.dev / "vfio/vfio");
  const Error unloaded = fixture.open_error_without_iommu();
  EXPECT_EQ(unloaded.code, ErrorCode::module_not_loaded);
  EXPECT_THAT(unloaded.hint, HasSubstr("modprobe vfio enable_unsafe_noiommu_mode=1"));
}

TEST(NoIommu, ReportsThatTheModeWasSwitchedOff) {
  NoIommuFixture fixture;
  fixture.kernel->no_iommu = false;
  EXPECT_EQ(fixture.open_error_without_iommu().code, ErrorCode::not_supported);
}

TEST(NoIommu, RequiresABoundDevice) {
  NoIommuFixture fixture;
  fixture.machine.add({.address = "0000:04:00.0", .driver = "igb"});
  const auto refused = fixture.open_without_iommu("0000:04:00.0");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::not_bound);
  EXPECT_THAT(refused.error().hint, HasSubstr("pollux bind 0000:04:00.0"));
}

TEST(NoIommu, RequiresRoot) {
  NoIommuFixture fixture;
  fixture.kernel->may_use_no_iommu = false;
  const Error group = fixture.open_error_without_iommu();
  EXPECT_EQ(group.code, ErrorCode::permission_denied);
  EXPECT_THAT(group.hint, HasSubstr("CAP_SYS_RAWIO"));

  NoIommuFixture hiding;
  hiding.kernel->pagemap = [](std::uint64_t) { return kPresent; };
  const Error hidden = hiding.open_error_without_iommu();
  EXPECT_EQ(hidden.code, ErrorCode::permission_denied);
  EXPECT_THAT(hidden.what, HasSubstr("CAP_SYS_ADMIN"));
  EXPECT_THAT(hidden.hint, HasSubstr("root"));
}

TEST(PagemapTest, TranslatesAddressesToPhysicalOnes) {
  NoIommuFixture fixture;
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const auto* const address = reinterpret_cast<const std::byte*>(std::uintptr_t{0x7f00'1234'5678});
  fixture.kernel->pagemap = [&](std::uint64_t number) -> std::uint64_t {
    if (number != 0x7f00'1234'5678 / page) return kPresent | 1U;
    // The bits above the frame number have other meanings (soft-dirty, exclusively mapped, file page).
    return kPresent | std::uint64_t{3} << 55U | std::uint64_t{1} << 61U | 0x12'3456;
  };
  const auto pagemap = Pagemap::open(Host{fixture.kernel, fixture.machine.paths});
  ASSERT_TRUE(pagemap) << pagemap.error().message();
  const auto found = (*pagemap)->find(address);
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(*found, 0x12'3456 * page + 0x7f00'1234'5678 % page);
}

TEST(PagemapTest, ReportsMissingPagesAndReadErrors) {
  NoIommuFixture fixture;
  const auto pagemap = Pagemap::open(Host{fixture.kernel, fixture.machine.paths});
  ASSERT_TRUE(pagemap);
  const std::byte here{};
  fixture.kernel->pagemap = [](std::uint64_t) { return std::uint64_t{0x1234}; };
  EXPECT_EQ((*pagemap)->find(&here).error().code, ErrorCode::io_error);
  fixture.kernel->fail("pread", EIO);
  EXPECT_EQ((*pagemap)->find(&here).error().code, ErrorCode::io_error);
}

TEST(PagemapTest, ReportsAKernelWithoutPagemap) {
  NoIommuFixture fixture;
  fixture.kernel->pagemap = nullptr;
  const auto pagemap = Pagemap::open(Host{fixture.kernel, fixture.machine.paths});
  ASSERT_FALSE(pagemap);
  EXPECT_EQ(pagemap.error().code, ErrorCode::not_supported);
  EXPECT_THAT(pagemap.error().hint, HasSubstr("CONFIG_PROC_PAGE_MONITOR"));
}

}  // namespace
}  // namespace pollux::vfio::test
