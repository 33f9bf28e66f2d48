// SPDX-License-Identifier: BSD-3-Clause
#include "observe/claim.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "fixture.hpp"

namespace pollux::test {
namespace {

using observe::Claim;

TEST(Claim, ANameBelongsToOneOwner) {
  TemporaryDirectory directory;
  auto first = Claim::take(directory.path(), "plx0");
  ASSERT_TRUE(first && *first);
  const auto second = Claim::take(directory.path(), "plx0");
  ASSERT_TRUE(second);
  EXPECT_FALSE(*second);
  std::ifstream file(directory.path() + "/plx0.lock");
  int pid = 0;
  file >> pid;
  EXPECT_EQ(pid, ::getpid());
  first->reset();
  EXPECT_FALSE(directory.has("plx0.lock"));
}

TEST(Claim, NumbersAreTheLowestThatAreFree) {
  TemporaryDirectory directory;
  auto zero = observe::claim_numbered(directory.path(), "plx", 3);
  auto one = observe::claim_numbered(directory.path(), "plx", 3);
  ASSERT_TRUE(zero && one);
  EXPECT_EQ(zero->name(), "plx0");
  EXPECT_EQ(one->name(), "plx1");
  { const Claim ended = *std::move(zero); }
  const auto again = observe::claim_numbered(directory.path(), "plx", 3);
  const auto last = observe::claim_numbered(directory.path(), "plx", 3);
  ASSERT_TRUE(again && last);
  EXPECT_EQ(again->name(), "plx0");
  const auto none = observe::claim_numbered(directory.path(), "plx", 3);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::no_memory);
}

// The kernel unlocks what a process that was killed had locked.
TEST(Claim, WhatADeadProcessLeftIsFreeAgain) {
  TemporaryDirectory directory;
  const pid_t child = ::fork();
  if (child == 0) {
    auto claim = Claim::take(directory.path(), "plx0");
    std::ofstream(directory.path() + "/plx0.sock") << "x";
    ::_exit(claim && *claim ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  ASSERT_TRUE(directory.has("plx0.lock"));
  const auto kept = Claim::take(directory.path(), "plx1");
  std::ofstream(directory.path() + "/plx1.sock") << "x";
  observe::remove_stale(directory.path());
  EXPECT_FALSE(directory.has("plx0.lock"));
  EXPECT_FALSE(directory.has("plx0.sock"));
  EXPECT_TRUE(directory.has("plx1.lock"));
  EXPECT_TRUE(directory.has("plx1.sock"));
}

TEST(Claim, TheDirectoryMustBeTheUsersAlone) {
  TemporaryDirectory directory;
  const std::string path = directory.path() + "/pollux";
  EXPECT_TRUE(observe::prepare_directory(path));
  EXPECT_TRUE(observe::prepare_directory(path));
  ASSERT_EQ(::chmod(path.c_str(), 0777), 0);
  const auto open_to_all = observe::prepare_directory(path);
  ASSERT_FALSE(open_to_all);
  EXPECT_EQ(open_to_all.error().code, ErrorCode::permission_denied);
  std::filesystem::create_directory_symlink("/tmp", directory.path() + "/link");
  EXPECT_FALSE(observe::prepare_directory(directory.path() + "/link"));
}

}  // namespace
}  // namespace pollux::test
