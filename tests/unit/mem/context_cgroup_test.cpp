// SPDX-License-Identifier: BSD-3-Clause
// Tests a control group's limit on huge pages: the pages are counted as free and the mapping succeeds, but an access
// would raise SIGBUS.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "context_fixture.hpp"
#include "machine.hpp"

namespace pollux {
namespace {

using test::ContextFixture;
using test::kTwoMi;
using test::ReservedHugePages;

std::string read_all(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

bool write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  return static_cast<bool>(file);
}

/// A control group (version 2) with a limit on huge pages of 2 MiB. The destructor removes it.
class HugePageGroup {
 public:
  explicit HugePageGroup(std::size_t limit) {
    std::ifstream mounts("/proc/mounts");
    for (std::string device, at, type, rest; mounts >> device >> at >> type && std::getline(mounts, rest);) {
      if (type == "cgroup2") root_ = at;
    }
    if (root_.empty() || read_all(root_ + "/cgroup.controllers").find("hugetlb") == std::string::npos) {
      missing_ = "LEFT OUT: no control groups (version 2) with the hugetlb controller";
      return;
    }
    if (read_all(root_ + "/cgroup.subtree_control").find("hugetlb") == std::string::npos) {
      enabled_ = write_text(root_ + "/cgroup.subtree_control", "+hugetlb");
    }
    path_ = root_ + "/pollux-test-" + std::to_string(::getpid());
    std::error_code error;
    if (!std::filesystem::create_directory(path_, error) ||
        !write_text(path_ + "/hugetlb.2MB.max", std::to_string(limit))) {
      missing_ = "LEFT OUT: no control group can be made (root is needed)";
    }
  }
  HugePageGroup(const HugePageGroup&) = delete;
  HugePageGroup& operator=(const HugePageGroup&) = delete;
  ~HugePageGroup() {
    if (!path_.empty())
      static_cast<void>(test::eventually([&] { return ::rmdir(path_.c_str()) == 0 || errno == ENOENT; }));
    if (enabled_) static_cast<void>(write_text(root_ + "/cgroup.subtree_control", "-hugetlb"));
  }
  [[nodiscard]] const std::string& missing() const { return missing_; }
  [[nodiscard]] bool enter() const { return write_text(path_ + "/cgroup.procs", std::to_string(::getpid())); }

 private:
  std::string root_;
  std::string path_;
  std::string missing_;
  bool enabled_ = false;
};

/// Pages of 2 MiB that are reserved but not allocated yet.
std::uint64_t promised() {
  return std::stoull("0" + read_all("/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages"));
}

std::string allocate_in_group(const HugePageGroup& group, HugePages policy) {
  const test::ChildReport report = test::in_child([&] {
    if (!group.enter()) return std::string("could not enter");
    ContextOptions options;
    options.huge_pages = policy;
    ContextFixture fixture(options);
    const std::uint64_t before = promised();
    const auto memory = fixture.state->allocate({.size = 3 * kTwoMi});
    if (promised() != before) return std::string("keeps pages from others");
    const auto small = fixture.state->allocate({.size = kTwoMi});
    std::string text = memory ? std::to_string(memory->page_size()) : std::string(to_string(memory.error().code));
    if (memory) memory->segments()[0].address[memory->size() - 1] = std::byte{1};
    return text + ", then " + (small ? std::to_string(small->page_size()) : small.error().message());
  });
  return report.signal == 0 ? report.text : "signal " + std::to_string(report.signal);
}

TEST(ContextMemory, AControlGroupsLimitIsAnErrorNotASignal) {
  const ReservedHugePages pages(4);
  if (!pages.missing().empty()) GTEST_SKIP() << pages.missing();
  const HugePageGroup group(2 * kTwoMi);
  if (!group.missing().empty()) GTEST_SKIP() << group.missing();
  const std::uint64_t before = ReservedHugePages::free();
  EXPECT_EQ(allocate_in_group(group, HugePages::require), "no_memory, then 2097152")
      << "its share of the three pages was freed";
  EXPECT_EQ(allocate_in_group(group, HugePages::prefer), "4096, then 2097152");
  EXPECT_TRUE(ReservedHugePages::become_free(before));
}

}  // namespace
}  // namespace pollux
