// SPDX-License-Identifier: BSD-3-Clause
#include "observe/sockets.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "fixture.hpp"

namespace pollux::test {
namespace {

using observe::Claim;
using observe::OwnDirectory;

/// A temporary directory, opened.
struct Names : TemporaryDirectory {
  OwnDirectory own = *OwnDirectory::open(path());
};

TEST(Claim, ANameBelongsToOneOwner) {
  Names directory;
  auto first = Claim::take(directory.own, "plx0");
  ASSERT_TRUE(first && *first);
  const auto second = Claim::take(directory.own, "plx0");
  ASSERT_TRUE(second);
  EXPECT_FALSE(*second);
  std::ifstream file(directory.path() + "/plx0.lock");
  int pid = 0;
  file >> pid;
  EXPECT_EQ(pid, ::getpid());
  struct stat lock {};
  ASSERT_EQ(::stat((directory.path() + "/plx0.lock").c_str(), &lock), 0);
  EXPECT_EQ(lock.st_mode & 0777, 0600u) << "whoever can open it can lock it";
  first->reset();
  EXPECT_FALSE(directory.has("plx0.lock"));
}

TEST(Claim, NumbersAreTheLowestThatAreFree) {
  Names directory;
  auto zero = observe::claim_numbered(directory.own, "plx", 3);
  auto one = observe::claim_numbered(directory.own, "plx", 3);
  ASSERT_TRUE(zero && one);
  EXPECT_EQ(zero->name(), "plx0");
  EXPECT_EQ(one->name(), "plx1");
  { const Claim ended = *std::move(zero); }
  const auto again = observe::claim_numbered(directory.own, "plx", 3);
  const auto last = observe::claim_numbered(directory.own, "plx", 3);
  ASSERT_TRUE(again && last);
  EXPECT_EQ(again->name(), "plx0");
  const auto none = observe::claim_numbered(directory.own, "plx", 3);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::no_memory);
}

// The kernel unlocks what a process that was killed had locked.
TEST(Claim, WhatADeadProcessLeftIsFreeAgain) {
  Names directory;
  const pid_t child = ::fork();
  if (child == 0) {
    const auto own = OwnDirectory::open(directory.path());
    auto claim = Claim::take(*own, "plx0");
    std::ofstream(directory.path() + "/plx0.sock") << "x";
    ::_exit(claim && *claim ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  ASSERT_TRUE(directory.has("plx0.lock"));
  const auto kept = Claim::take(directory.own, "plx1");
  std::ofstream(directory.path() + "/plx1.sock") << "x";
  observe::remove_stale(directory.own);
  EXPECT_FALSE(directory.has("plx0.lock"));
  EXPECT_FALSE(directory.has("plx0.sock"));
  EXPECT_TRUE(directory.has("plx1.lock"));
  EXPECT_TRUE(directory.has("plx1.sock"));
}

TEST(Claim, TheDirectoryMustBeTheUsersAlone) {
  TemporaryDirectory directory;
  const std::string path = directory.path() + "/pollux";
  EXPECT_TRUE(OwnDirectory::open(path));
  EXPECT_TRUE(OwnDirectory::open(path));
  ASSERT_EQ(::chmod(path.c_str(), 0777), 0);
  const auto open_to_all = OwnDirectory::open(path);
  ASSERT_FALSE(open_to_all);
  EXPECT_EQ(open_to_all.error().code, ErrorCode::permission_denied);
  std::filesystem::create_directory_symlink("/tmp", directory.path() + "/link");
  const auto link = OwnDirectory::open(directory.path() + "/link");
  ASSERT_FALSE(link);
  EXPECT_EQ(link.error().code, ErrorCode::permission_denied);
}

// Somebody may put another directory into the place of the one that was checked.
TEST(Claim, FilesAreInTheDirectoryThatWasChecked) {
  TemporaryDirectory directory;
  const std::string path = directory.path() + "/pollux";
  const auto own = OwnDirectory::open(path);
  ASSERT_TRUE(own);
  std::filesystem::rename(path, directory.path() + "/moved");
  std::filesystem::create_directory(path);
  const auto claim = Claim::take(*own, "plx0");
  ASSERT_TRUE(claim && *claim);
  EXPECT_TRUE(directory.has("moved/plx0.lock"));
  EXPECT_FALSE(directory.has("pollux/plx0.lock"));
}

/// What a user with this XDG_RUNTIME_DIR opens: the path, and what the tools read then. Run by root.
std::string default_of(uid_t user, const char* runtime = nullptr) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return "no pipe";
  const FileDescriptor told(ends[0]);
  FileDescriptor tells(ends[1]);
  const pid_t child = ::_Fork();  // it has the pipe
  if (child == 0) {
    const int set = runtime == nullptr ? ::unsetenv("XDG_RUNTIME_DIR") : ::setenv("XDG_RUNTIME_DIR", runtime, 1);
    if (set != 0 || ::setresuid(user, user, user) != 0) ::_exit(1);
    const auto opened = OwnDirectory::open("");
    std::string text = opened ? opened->path() : opened.error().message();
    if (opened && observe::default_directories() != std::vector{text}) text += ": not found again";
    ::_exit(::write(tells.get(), text.data(), text.size()) > 0 ? 0 : 1);
  }
  tells = FileDescriptor();
  std::array<char, 512> text{};
  const ssize_t size = ::read(told.get(), text.data(), text.size());
  ::waitpid(child, nullptr, 0);
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : "nothing";
}

// In /tmp anybody may take a name first.
TEST(DefaultDirectory, IsAnotherWhereItsNameIsTaken) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be two users";
  const uid_t user = 1'000'000'000U + static_cast<uid_t>(::getpid());
  const std::string usual = "/tmp/pollux-" + std::to_string(user);
  const std::string link = usual + "-000000";
  const std::string of_another = usual + "-000001";
  const std::string open_to_all = usual + "-000002";
  constexpr uid_t kNobody = 65534;
  for (const std::string& path : {usual, of_another, open_to_all}) std::filesystem::create_directory(path);
  std::filesystem::create_directory_symlink(of_another, link);
  EXPECT_EQ(::lchown(link.c_str(), user, user), 0);
  EXPECT_EQ(::chown(usual.c_str(), kNobody, kNobody), 0);
  EXPECT_EQ(::chown(of_another.c_str(), kNobody, kNobody), 0);
  EXPECT_EQ(::chown(open_to_all.c_str(), user, user), 0);
  EXPECT_EQ(::chmod(open_to_all.c_str(), 0777), 0);
  const std::string own = default_of(user);
  EXPECT_THAT(own, testing::MatchesRegex(usual + "-......"));
  EXPECT_TRUE(observe::is_directory_of(own, user));
  for (const std::string& path : {link, of_another, open_to_all}) EXPECT_NE(own, path);
  EXPECT_EQ(default_of(user), own) << "the next program makes no other one";
  std::filesystem::remove(usual);
  EXPECT_EQ(default_of(user), own) << "its programs and those that follow see each other";
  std::filesystem::remove_all(own);
  EXPECT_EQ(default_of(user), usual);
  for (const std::string& path : {usual, link, of_another, open_to_all}) std::filesystem::remove_all(path);
}

// su(1) leaves the variable of the user before.
TEST(DefaultDirectory, IsNotInTheRuntimeDirectoryOfAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be two users";
  const uid_t user = 1'100'000'000U + static_cast<uid_t>(::getpid());
  const std::string usual = "/tmp/pollux-" + std::to_string(user);
  std::string runtime = "/tmp/pollux-runtime-XXXXXX";
  ASSERT_NE(::mkdtemp(runtime.data()), nullptr);
  EXPECT_EQ(default_of(user, runtime.c_str()), usual);
  ASSERT_EQ(::chown(runtime.c_str(), user, user), 0);
  EXPECT_EQ(default_of(user, runtime.c_str()), runtime + "/pollux");
  ASSERT_EQ(::chmod(runtime.c_str(), 0777), 0);
  EXPECT_EQ(default_of(user, runtime.c_str()), usual) << "anybody may write to it";
  EXPECT_EQ(default_of(user, (runtime + "/missing").c_str()), usual);
  std::filesystem::remove_all(runtime);
  std::filesystem::remove_all(usual);
}

}  // namespace
}  // namespace pollux::test
