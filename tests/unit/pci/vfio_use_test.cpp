// SPDX-License-Identifier: BSD-3-Clause
#include "pci/vfio_use.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "fake_machine.hpp"

namespace pollux::pci {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

struct VfioUse : testing::Test {
  VfioUse() { std::filesystem::create_directories(machine.device(port) / "vfio-dev/vfio3"); }

  /// The result of the check if opening `busy` fails with `error` and all other nodes do not exist.
  Result<void> check(const std::string& busy, int error) {
    const DeviceInfo device = *read_device(machine.paths, port);
    return check_not_open(machine.paths, device, [&](const std::filesystem::path& node) {
      probed.push_back(node.lexically_relative(machine.paths.dev).string());
      return probed.back() == busy ? error : ENOENT;
    });
  }

  test::FakeMachine machine;
  Address port = machine.add({.address = "0000:01:00.0", .group = 7});
  std::vector<std::string> probed;
};

TEST_F(VfioUse, TriesEachNodeWhereNoProcessIsSeen) {
  EXPECT_TRUE(check("vfio/7", 0));
  EXPECT_THAT(probed, ElementsAre("vfio/7", "vfio/noiommu-7", "vfio/devices/vfio3"));
}

TEST_F(VfioUse, FindsAHolderThatIsNotVisible) {
  for (const std::string node : {"vfio/7", "vfio/noiommu-7", "vfio/devices/vfio3"}) {
    const auto checked = check(node, EBUSY);
    ASSERT_FALSE(checked) << node;
    EXPECT_EQ(checked.error().code, ErrorCode::group_in_use);
    EXPECT_THAT(checked.error().what, AllOf(HasSubstr("0000:01:00.0"), HasSubstr("is not visible here")));
    EXPECT_EQ(checked.error().hint, "end it first: fuser -v " + (machine.paths.dev / node).string());
  }
}

TEST_F(VfioUse, IgnoresOtherErrors) {
  for (const int error : {EACCES, ENOENT, EPERM, ENODEV}) EXPECT_TRUE(check("vfio/7", error)) << error;
}

/// A process with a file descriptor that leads to `target`.
void open_in(test::FakeMachine& machine, int process, const std::filesystem::path& target) {
  const auto directory = machine.paths.proc / std::to_string(process);
  machine.write(directory / "comm", "program\n");
  std::filesystem::create_directories(directory / "fd");
  std::filesystem::create_symlink(target, directory / "fd/5");
}

// A user may mount anything at /dev/vfio/7, in a mount namespace of the user's own.
TEST_F(VfioUse, APathThatOnlyLooksLikeTheNodeIsNone) {
  open_in(machine, 42, machine.paths.dev / "vfio/7");  // it leads nowhere
  EXPECT_TRUE(check("", 0));
}

TEST_F(VfioUse, FindsHoldersUnderOtherPathsByTheDeviceNumber) {
  std::filesystem::create_directories(machine.paths.dev / "vfio");
  std::filesystem::create_symlink("/dev/full", machine.paths.dev / "vfio/7");
  open_in(machine, 41, "/dev/null");
  EXPECT_TRUE(check("", 0));
  open_in(machine, 42, "/dev/full");
  open_in(machine, 43, "/dev/full");
  const auto checked = check("", 0);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ErrorCode::group_in_use);
  EXPECT_THAT(checked.error().what, HasSubstr("2 processes"));
  EXPECT_THAT(checked.error().hint, AllOf(HasSubstr(" 42"), HasSubstr(" 43")));
}

TEST_F(VfioUse, AsksTheKernelWhereTheTimeIsOver) {
  std::filesystem::create_directories(machine.paths.dev / "vfio");
  std::filesystem::create_symlink("/dev/full", machine.paths.dev / "vfio/7");
  open_in(machine, 42, "/dev/full");
  const DeviceInfo device = *read_device(machine.paths, port);
  const auto over = [] { return true; };
  const auto free = [](const std::filesystem::path&) { return 0; };
  const auto busy = [](const std::filesystem::path&) { return EBUSY; };
  EXPECT_FALSE(find_holders(machine.paths, device, free, over).complete);
  EXPECT_TRUE(check_not_open(machine.paths, device, free, over));
  const auto checked = check_not_open(machine.paths, device, busy, over);
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().what, HasSubstr("was not found in time: too many files are open"));
}

TEST_F(VfioUse, LooksAtProcessesOfOtherUsersLast) {
  if (::geteuid() != 0) GTEST_SKIP() << "to give files away needs root";
  std::filesystem::create_directories(machine.paths.dev / "vfio");
  std::filesystem::create_symlink("/dev/full", machine.paths.dev / "vfio/7");
  open_in(machine, 41, "/dev/null");
  open_in(machine, 42, "/dev/full");
  ASSERT_EQ(::chown((machine.paths.proc / "41").c_str(), 61001, 61001), 0);
  bool over = false;
  const auto holders = find_holders(
      machine.paths, *read_device(machine.paths, port), [](const std::filesystem::path&) { return ENOENT; },
      [&over] { return std::exchange(over, true); });  // there is time for one file
  EXPECT_FALSE(holders.complete);
  ASSERT_EQ(holders.found.size(), 1U);
  EXPECT_EQ(holders.found[0].process, "42");
}

// prctl(PR_SET_NAME) takes any bytes, and root reads the message on a terminal.
TEST_F(VfioUse, TheNameOfAHolderHasNoControlCharacters) {
  std::filesystem::create_directories(machine.paths.dev / "vfio");
  std::filesystem::create_symlink("/dev/full", machine.paths.dev / "vfio/7");
  open_in(machine, 42, "/dev/full");
  machine.write(machine.paths.proc / "42/comm",
                "a\x1b[2J\x9b"
                "2Jb\n");
  const auto checked = check("", 0);
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().what, HasSubstr("process 42 (a?[2J?2Jb)"));
}

TEST(NodeProbe, ReturnsTheErrorOfOpeningTheNode) {
  EXPECT_EQ(probe_node("/dev/null"), 0);
  EXPECT_EQ(probe_node("/dev/null/below"), ENOTDIR);
  EXPECT_EQ(probe_node("/dev/none-of-this-name"), ENOENT);
}

}  // namespace
}  // namespace pollux::pci
