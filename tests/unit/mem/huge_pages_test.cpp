// SPDX-License-Identifier: BSD-3-Clause
#include "mem/huge_pages.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "fake_huge_pages.hpp"
#include "machine.hpp"
#include "mem/dma_registry.hpp"

namespace pollux {
namespace {

using test::FakeHugePages;
using test::kGi;
using test::kTwoMi;
using test::ReservedHugePages;

std::string link_of(int descriptor) {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(descriptor), error).string();
}

TEST(HugePages, ListsEverySizeSmallestFirstWithFreePages) {
  FakeHugePages fake;
  fake.set(kGi, {.configured = 4, .free = 3});
  fake.set(kTwoMi, {.configured = 100, .free = 60, .reserved = 10});
  fake.set(64 * 1024, {});
  HugePageSource source(fake.paths());
  const auto pools = source.pools();
  ASSERT_EQ(pools.size(), 3U);
  EXPECT_EQ(pools[0].page_size, 64U * 1024);
  EXPECT_EQ(pools[0].available, 0U);
  EXPECT_EQ(pools[1].page_size, kTwoMi);
  EXPECT_EQ(pools[1].configured, 100U);
  EXPECT_EQ(pools[1].available, 50U) << "pages reserved by others are not available";
  EXPECT_EQ(pools[2].page_size, kGi);
  EXPECT_EQ(pools[2].available, 3U);
}

TEST(HugePages, CountsOvercommitPages) {
  FakeHugePages fake;
  fake.set(kTwoMi, {.configured = 2, .free = 1, .reserved = 1, .surplus = 2, .overcommit = 7});
  EXPECT_EQ(HugePageSource(fake.paths()).pools().at(0).available, 5U);
  fake.set(kTwoMi, {.free = 1, .reserved = 5, .surplus = 9, .overcommit = 7});
  EXPECT_EQ(HugePageSource(fake.paths()).pools().at(0).available, 0U) << "never below zero";
}

TEST(HugePages, CountsANodesOwnPages) {
  FakeHugePages fake;
  fake.set(kTwoMi, {.configured = 10, .free = 10});
  fake.set_on_node(1, kTwoMi, {.configured = 4, .free = 2});
  HugePageSource source(fake.paths());
  EXPECT_EQ(source.pools(1).at(0).available, 2U);
  EXPECT_EQ(source.pools(1).at(0).configured, 4U);
  EXPECT_EQ(source.pools(0).at(0).available, 0U) << "a node without a directory has none";
}

TEST(HugePages, SkipsNamesWithoutASize) {
  FakeHugePages fake;
  for (const char* name : {"hugepages-kB", "hugepages-2048", "hugepages-3kB", "hugepages-2048kBx", "other",
                           "hugepages--8kB", "hugepages-99999999999999999999kB"}) {
    fake.make_directory(name);
  }
  fake.set(kTwoMi, {});
  const auto pools = HugePageSource(fake.paths()).pools();
  ASSERT_EQ(pools.size(), 1U);
  EXPECT_EQ(pools[0].page_size, kTwoMi);
}

TEST(HugePages, AKernelWithoutThemHasNone) {
  EXPECT_TRUE(
      HugePageSource({.machine = "/nonexistent", .nodes = "/nonexistent", .use_library = false}).pools().empty());
}

TEST(HugePages, TheCommandAddsToWhatIsConfigured) {
  HugePageSource source;
  EXPECT_EQ(source.command_for({.page_size = kTwoMi, .configured = 5, .available = 1}, 3, -1),
            "echo 8 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
  EXPECT_EQ(source.command_for({.page_size = kGi, .configured = 0, .available = 0}, 2, 1),
            "echo 2 > /sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages");
}

TEST(HugePages, ThisMachinesSizesAgreeWithAndWithoutTheLibrary) {
  if (!LibHugetlbfs().loaded()) GTEST_SKIP() << "LEFT OUT: libhugetlbfs is not installed, or would print here";
  HugePageSource with;
  HugePageSource without({.use_library = false});
  const auto left = with.pools();
  const auto right = without.pools();
  ASSERT_EQ(left.size(), right.size());
  if (left.empty()) GTEST_SKIP() << "LEFT OUT: this kernel has no huge pages";
  for (std::size_t i = 0; i < left.size(); ++i) EXPECT_EQ(left[i].page_size, right[i].page_size);
}

TEST(HugePages, FilesHaveNoNameAndAreClosedOnExec) {
  HugePageSource source;
  const auto pools = source.pools();
  if (pools.empty()) GTEST_SKIP() << "LEFT OUT: this kernel has no huge pages";
  for (const HugePagePool& pool : pools) {
    const auto file = source.open_file(pool.page_size);
    ASSERT_TRUE(file) << file.error().message();
    struct stat status {};
    ASSERT_EQ(::fstat(file->get(), &status), 0);
    EXPECT_EQ(static_cast<std::size_t>(status.st_blksize), pool.page_size);
    EXPECT_EQ(::fcntl(file->get(), F_GETFD), FD_CLOEXEC);
    EXPECT_TRUE(link_of(file->get()).ends_with(" (deleted)")) << link_of(file->get());
  }
}

TEST(HugePages, AnUnavailableSizeIsAnErrorWithAHint) {
  HugePageSource source;
  const auto file = source.open_file(8 * kTwoMi);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ErrorCode::not_supported);
  EXPECT_NE(file.error().what.find("16 MiB"), std::string::npos);
  EXPECT_NE(file.error().hint.find("hugepagesz="), std::string::npos);
}

TEST(HugePages, AFailureToCreateAnOrdinaryFileHasItsOwnError) {
  const test::ChildReport report = test::in_child([] {
    const rlimit none{0, 0};
    if (::setrlimit(RLIMIT_NOFILE, &none) != 0) return std::string("setrlimit");
    const auto file = open_memory_file(0);
    return file ? std::string("a file") : std::string(to_string(file.error().code)) + " " + file.error().what;
  });
  EXPECT_EQ(report.text, "no_memory a file for DMA memory cannot be created (Too many open files)");
}

TEST(HugePages, FormatsSizes) {
  EXPECT_EQ(readable_size(1), "1 KiB");
  EXPECT_EQ(readable_size(4096), "4 KiB");
  EXPECT_EQ(readable_size(kTwoMi), "2 MiB");
  EXPECT_EQ(readable_size(kTwoMi + 4096), "2052 KiB");
  EXPECT_EQ(readable_size(3 * kGi), "3 GiB");
}

class Proc {
 public:
  Proc(const std::string& mounts, const std::string& meminfo) {
    std::ofstream(directory_.path() + "/mounts") << mounts;
    std::ofstream(directory_.path() + "/meminfo") << meminfo;
  }
  [[nodiscard]] const std::string& path() const { return directory_.path(); }

 private:
  test::TemporaryDirectory directory_;
};

bool may_load(std::vector<std::string> environment, const std::string& proc) {
  std::vector<char*> variables;
  for (std::string& setting : environment) variables.push_back(setting.data());
  variables.push_back(nullptr);
  return may_load_libhugetlbfs(variables.data(), proc);
}

/// docs/adr/0001-libhugetlbfs.md
TEST(LibHugetlbfs, IsNotLoadedIfItsConstructorWouldActOrPrint) {
  const Proc plain("sysfs /sys sysfs rw 0 0\n", "Hugepagesize:       2048 kB\n");
  EXPECT_TRUE(may_load({"PATH=/bin", "HUGETLB_PATH=/mnt"}, plain.path()));
  EXPECT_FALSE(may_load({"HUGETLB_MORECORE=yes"}, plain.path())) << "replaces malloc's memory source";
  EXPECT_FALSE(may_load({"HUGETLB_VERBOSE=99"}, plain.path())) << "prints";
  EXPECT_FALSE(may_load({"A=b", "HUGETLB_FORCE_ELFMAP=yes"}, plain.path())) << "moves the program's segments";
  EXPECT_FALSE(may_load({}, "/nonexistent")) << "prints which file it could not open";
  const Proc overlay("overlay / overlay lowerdir=" + std::string(2100, 'x') + " 0 0\n", "Hugepagesize: 2048 kB\n");
  EXPECT_FALSE(may_load({}, overlay.path())) << "prints that a line is too long";
  const Proc much("", std::string(2048, '\n'));
  EXPECT_FALSE(may_load({}, much.path())) << "prints that meminfo is too large";
}

TEST(LibHugetlbfs, PrintsNothingAndDoesNotReplaceShmget) {
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  void* const before = ::dlsym(RTLD_DEFAULT, "shmget");
  LibHugetlbfs library;
  const bool loaded = library.loaded();
  static_cast<void>(library.unlinked_file(kTwoMi));
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(::dlsym(RTLD_DEFAULT, "shmget"), before);
  EXPECT_EQ(::dlsym(RTLD_DEFAULT, "gethugepagesizes"), nullptr) << "its symbols are not visible to others";
  if (!loaded) GTEST_SKIP() << "LEFT OUT: libhugetlbfs is not installed, or its constructor would print here";
  EXPECT_FALSE(library.page_sizes().empty());
}

// The following tests run in separate processes, in which the library is not loaded yet, with mounts that no other
// process sees.

constexpr int kNotRoot = 70;
constexpr int kNoLibrary = 71;
constexpr int kNoPages = 72;

bool mount_hugetlbfs_privately() {
  return ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("none", "/mnt", "hugetlbfs", 0, "pagesize=2M") == 0;
}

int use_a_mount() {
  if (!mount_hugetlbfs_privately()) return kNotRoot;
  if (!LibHugetlbfs().loaded()) return kNoLibrary;
  HugePageSource source;
  auto file = source.open_file(kTwoMi);
  if (!file) return 1;
  if (!link_of(file->get()).starts_with("/mnt/")) return 2;
  if (::fcntl(file->get(), F_GETFD) != FD_CLOEXEC) return 3;
  if (!std::filesystem::is_empty("/mnt")) return 4;
  const ReservedHugePages pages(1);
  if (!pages.missing().empty()) return kNoPages;
  const std::uint64_t before = ReservedHugePages::free();
  Arena arena(kGi);
  if (!arena.reserve() || !arena.add_file(kTwoMi, std::move(*file))) return 5;
  if (!arena.place(kTwoMi, kTwoMi, kTwoMi, 0)) return 6;
  if (ReservedHugePages::free() != before - 1) return 7;
  arena.remove(kTwoMi, kTwoMi, kTwoMi);
  return ReservedHugePages::free() == before ? 0 : 8;
}

/// The library remembers the mounts that existed when it was loaded; memfd needs none.
int mount_after_it_was_loaded() {
  if (!LibHugetlbfs().loaded()) return kNoLibrary;
  HugePageSource source;
  static_cast<void>(source.pools());
  if (!mount_hugetlbfs_privately()) return kNotRoot;
  return source.open_file(kTwoMi) ? 0 : 1;
}

bool linker_finds_it() { return ::dlopen("libhugetlbfs.so.0", RTLD_NOW | RTLD_LOCAL) != nullptr; }

int load_as_asked() {
  const bool may = may_load_libhugetlbfs(environ, "/proc");
  const bool loaded = LibHugetlbfs().loaded();
  if (!linker_finds_it()) return kNoLibrary;
  return loaded == may ? 0 : 1;
}

int load_where_it_would_print() {
  ::setenv("HUGETLB_VERBOSE", "1", 1);
  const bool loaded = LibHugetlbfs().loaded();
  if (!linker_finds_it()) return kNoLibrary;
  return loaded ? 1 : 0;
}

class LibHugetlbfsDeathTest : public testing::Test {
 protected:
  LibHugetlbfsDeathTest() { testing::FLAGS_gtest_death_test_style = "threadsafe"; }

  void expect_success(int (*work)()) {
    int code = -1;
    const auto note = [&](int status) {
      code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
      return true;
    };
    EXPECT_EXIT(std::_Exit(work()), note, "");
    if (code == kNotRoot) GTEST_SKIP() << "LEFT OUT: only root may mount hugetlbfs";
    if (code == kNoLibrary) GTEST_SKIP() << "LEFT OUT: libhugetlbfs is not installed, or would print here";
    if (code == kNoPages) GTEST_SKIP() << "LEFT OUT: no huge page could be reserved";
    EXPECT_EQ(code, 0) << "the step of that number failed";
  }
};

TEST_F(LibHugetlbfsDeathTest, IsLoadedIfAllowed) { expect_success(load_as_asked); }

TEST_F(LibHugetlbfsDeathTest, IsNotLoadedIfItWouldPrint) { expect_success(load_where_it_would_print); }

TEST_F(LibHugetlbfsDeathTest, CreatesAnUnnamedFileOnAMount) { expect_success(use_a_mount); }

TEST_F(LibHugetlbfsDeathTest, WorksWithALaterMount) { expect_success(mount_after_it_was_loaded); }

}  // namespace
}  // namespace pollux
