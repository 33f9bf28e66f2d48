// SPDX-License-Identifier: BSD-3-Clause
#include <unistd.h>

#include <cerrno>

#include "backends/vfio/pagemap.hpp"
#include "lab.hpp"

namespace pollux::vfio::test {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kPresent = std::uint64_t{1} << 63U;
const std::string kParameter = "module/vfio/parameters/enable_unsafe_noiommu_mode";

/// A machine without an IOMMU, whose kernel has VFIO's no-IOMMU mode switched on.
struct BareLab : Lab {
  BareLab() {
    machine.write(machine.paths.sys / kParameter, "Y");
    kernel->no_iommu = true;
    kernel->pagemap = [](std::uint64_t page) { return kPresent | (page & 0xffff) | 0x10'0000; };
    make_up(kFirst, 7);
    make_up(kSecond, 8);
    ContextOptions options = small_context(clock);
    options.log = [this](LogLevel level, std::string_view text) { log.emplace_back(level, std::string(text)); };
    logged.emplace(options);
  }
  void make_up(const std::string&, std::uint32_t group) {
    machine.write(machine.paths.dev / ("vfio/noiommu-" + std::to_string(group)), "");
    kernel->no_iommu_groups.insert(group);
  }
  Result<std::unique_ptr<Device>> open_bare(const std::string& address = kFirst) {
    return open_vfio(*logged, address + "?via=noiommu", Host{kernel, machine.paths});
  }
  Error bare_refusal() {
    auto opened = open_bare();
    EXPECT_FALSE(opened);
    expect_clean();
    return opened ? Error{} : opened.error();
  }

  std::vector<std::pair<LogLevel, std::string>> log;
  std::optional<Context> logged;
};

TEST(NoIommu, OpensAndClosesInOrderAndWarnsOnce) {
  BareLab lab;
  {
    auto first = lab.open_bare(kFirst);
    ASSERT_TRUE(first) << first.error().message();
    auto second = lab.open_bare(kSecond);
    ASSERT_TRUE(second) << second.error().message();
    EXPECT_EQ(&(*first)->dma_domain(), &(*second)->dma_domain());
    EXPECT_NE((*first)->dma_domain().physical_addresses(), nullptr);
    EXPECT_EQ(lab.kernel->count("open container"), 1u);
  }
  lab.expect_clean();
  ASSERT_TRUE(lab.open_bare(kFirst));
  ASSERT_EQ(lab.log.size(), 1u);
  EXPECT_EQ(lab.log[0].first, LogLevel::warning);
  EXPECT_THAT(lab.log[0].second, HasSubstr(kFirst + " is used without an IOMMU"));
  EXPECT_THAT(lab.log[0].second, HasSubstr("overwriting any memory of this machine"));
}

TEST(NoIommu, IsNeverChosenByItself) {
  BareLab lab;
  for (const std::string& which : {kFirst, kFirst + "?via=group", kFirst + "?via=iommufd"}) {
    const Error error = lab.refusal(which);
    EXPECT_EQ(error.code, ErrorCode::no_iommu);
    EXPECT_THAT(error.hint, HasSubstr("intel_iommu=on"));
    EXPECT_THAT(error.hint, HasSubstr("vfio:" + kFirst + "?via=noiommu"));
  }
  EXPECT_EQ(lab.kernel->count("open group 7"), 0u);
}

TEST(NoIommu, CleansUpWhicheverCallFails) {
  int call = 0;
  for (;; ++call) {
    BareLab lab;
    lab.kernel->fail_call(call, EIO);
    {
      auto device = lab.open_bare();
      if (!lab.kernel->failed_call()) break;
      if (!device) {
        EXPECT_FALSE(device.error().what.empty());
      }
    }
    lab.expect_clean();
    lab.kernel->fail_call(1 << 30, 0);
    EXPECT_TRUE(lab.open_bare()) << "after call " << call << " failed";
  }
  EXPECT_GT(call, 15);
}

TEST(NoIommu, DevicesBehindAnIommuKeepAContainerOfTheirOwn) {
  BareLab lab;
  lab.add("0000:03:00.0", 9);
  auto bare = lab.open_bare();
  auto behind = open_vfio(*lab.logged, "0000:03:00.0", Host{lab.kernel, lab.machine.paths});
  ASSERT_TRUE(bare);
  ASSERT_TRUE(behind) << behind.error().message();
  EXPECT_EQ(lab.kernel->count("open container"), 2u);
  EXPECT_NE(&(*bare)->dma_domain(), &(*behind)->dma_domain());
}

TEST(NoIommu, RefusesAContextThatHasMemory) {
  BareLab lab;
  auto memory = lab.logged->allocate({.size = 4096, .purpose = "test"});
  ASSERT_TRUE(memory);
  const Error error = lab.bare_refusal();
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_THAT(error.hint, HasSubstr("before pools are created"));
  EXPECT_TRUE(lab.log.empty()) << "nothing to warn of: it was not opened";
}

TEST(NoIommu, RefusesADeviceBehindAnIommu) {
  BareLab lab;
  lab.add("0000:03:00.0", 9);
  const auto refused = lab.open_bare("0000:03:00.0");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::not_supported);
  EXPECT_THAT(refused.error().hint, HasSubstr("open it as vfio:0000:03:00.0"));
}

TEST(NoIommu, SaysHowToSwitchItOn) {
  BareLab lab;
  lab.machine.write(lab.machine.paths.sys / kParameter, "N");
  const Error error = lab.bare_refusal();
  EXPECT_EQ(error.code, ErrorCode::no_iommu);
  EXPECT_THAT(error.hint, HasSubstr("echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode"));
  EXPECT_THAT(error.hint, HasSubstr("pollux bind " + kFirst));
}

TEST(NoIommu, SaysThatTheKernelLacksIt) {
  BareLab lab;
  std::filesystem::remove_all(lab.machine.paths.sys / "module/vfio/parameters");
  const Error without = lab.bare_refusal();
  EXPECT_EQ(without.code, ErrorCode::not_supported);
  EXPECT_THAT(without.hint, HasSubstr("CONFIG_VFIO_NOIOMMU"));
  std::filesystem::remove_all(lab.machine.paths.sys / "module/vfio");
  std::filesystem::remove(lab.machine.paths.dev / "vfio/vfio");
  const Error unloaded = lab.bare_refusal();
  EXPECT_EQ(unloaded.code, ErrorCode::module_not_loaded);
  EXPECT_THAT(unloaded.hint, HasSubstr("modprobe vfio enable_unsafe_noiommu_mode=1"));
}

TEST(NoIommu, SaysThatTheKernelTookItBackMeanwhile) {
  BareLab lab;
  lab.kernel->no_iommu = false;
  EXPECT_EQ(lab.bare_refusal().code, ErrorCode::not_supported);
}

TEST(NoIommu, NeedsTheDeviceBound) {
  BareLab lab;
  lab.machine.add({.address = "0000:04:00.0", .driver = "igb"});
  const auto refused = lab.open_bare("0000:04:00.0");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::not_bound);
  EXPECT_THAT(refused.error().hint, HasSubstr("pollux bind 0000:04:00.0"));
}

TEST(NoIommu, NeedsRoot) {
  BareLab lab;
  lab.kernel->may_use_no_iommu = false;
  const Error group = lab.bare_refusal();
  EXPECT_EQ(group.code, ErrorCode::permission_denied);
  EXPECT_THAT(group.hint, HasSubstr("CAP_SYS_RAWIO"));

  BareLab blind;
  blind.kernel->pagemap = [](std::uint64_t) { return kPresent; };
  const Error hidden = blind.bare_refusal();
  EXPECT_EQ(hidden.code, ErrorCode::permission_denied);
  EXPECT_THAT(hidden.what, HasSubstr("CAP_SYS_ADMIN"));
  EXPECT_THAT(hidden.hint, HasSubstr("root"));
}

TEST(PagemapOf, TurnsAddressesIntoPhysicalOnes) {
  BareLab lab;
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const auto* const address = reinterpret_cast<const std::byte*>(std::uintptr_t{0x7f00'1234'5678});
  lab.kernel->pagemap = [&](std::uint64_t number) -> std::uint64_t {
    if (number != 0x7f00'1234'5678 / page) return kPresent | 1U;
    // The bits above the frame's number say other things (soft dirty, exclusively mapped, a file's).
    return kPresent | std::uint64_t{3} << 55U | std::uint64_t{1} << 61U | 0x12'3456;
  };
  const auto pagemap = Pagemap::open(Host{lab.kernel, lab.machine.paths});
  ASSERT_TRUE(pagemap) << pagemap.error().message();
  const auto found = (*pagemap)->find(address);
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(*found, 0x12'3456 * page + 0x7f00'1234'5678 % page);
}

TEST(PagemapOf, RefusesWhatIsNotThere) {
  BareLab lab;
  const auto pagemap = Pagemap::open(Host{lab.kernel, lab.machine.paths});
  ASSERT_TRUE(pagemap);
  const std::byte here{};
  lab.kernel->pagemap = [](std::uint64_t) { return std::uint64_t{0x1234}; };
  EXPECT_EQ((*pagemap)->find(&here).error().code, ErrorCode::io_error);
  lab.kernel->fail("pread", EIO);
  EXPECT_EQ((*pagemap)->find(&here).error().code, ErrorCode::io_error);
}

TEST(PagemapOf, SaysThatThereIsNone) {
  BareLab lab;
  lab.kernel->pagemap = nullptr;
  const auto pagemap = Pagemap::open(Host{lab.kernel, lab.machine.paths});
  ASSERT_FALSE(pagemap);
  EXPECT_EQ(pagemap.error().code, ErrorCode::not_supported);
  EXPECT_THAT(pagemap.error().hint, HasSubstr("CONFIG_PROC_PAGE_MONITOR"));
}

}  // namespace
}  // namespace pollux::vfio::test
