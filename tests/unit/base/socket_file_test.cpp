// SPDX-License-Identifier: BSD-3-Clause
#include "base/socket_file.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace pollux::test {
namespace {

class TemporaryDirectory {
 public:
  TemporaryDirectory() { EXPECT_NE(::mkdtemp(path_.data()), nullptr); }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_ = "/tmp/pollux-socket-XXXXXX";
};

FileDescriptor bound_at(const std::string& path) {
  FileDescriptor made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  EXPECT_EQ(::bind(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << path;
  return made;
}

mode_t mode_of(const std::string& path) {
  struct stat found {};
  EXPECT_EQ(::lstat(path.c_str(), &found), 0) << path;
  return found.st_mode & 07777;
}

TEST(SocketFile, ItsDirectoryHasNoOtherWriters) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/x.sock";
  EXPECT_TRUE(open_directory_of(path, "hint"));
  for (const mode_t mode : {0770U, 0707U, 0777U}) {
    ASSERT_EQ(::chmod(directory.path().c_str(), mode), 0);
    const auto refused = open_directory_of(path, "choose another");
    ASSERT_FALSE(refused) << mode;
    EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
    EXPECT_EQ(refused.error().hint, "choose another");
  }
  ASSERT_EQ(::chmod(directory.path().c_str(), 01777), 0);
  EXPECT_TRUE(open_directory_of(path, "hint")) << "sticky, as /tmp";
}

TEST(SocketFile, ItsDirectoryMayBeTheRootOrThePresentOne) {
  for (const char* const path : {"/x.sock", "x.sock", "./x.sock"}) {
    const auto opened = open_directory_of(path, "hint");
    EXPECT_TRUE(opened || opened.error().code == ErrorCode::permission_denied) << path << ": " << opened.error().what;
  }
  EXPECT_FALSE(open_directory_of("/nowhere/x.sock", "hint"));
}

TEST(SocketFile, ItsDirectoryIsRootsOrTheUsers) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives a directory away";
  const TemporaryDirectory directory;
  ASSERT_EQ(::chown(directory.path().c_str(), 65534, 65534), 0);
  const auto refused = open_directory_of(directory.path() + "/x.sock", "hint");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
}

TEST(SocketFile, GetsItsMode) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/x.sock";
  const FileDescriptor made = bound_at(path);
  const auto opened = open_directory_of(path, "hint");
  ASSERT_TRUE(opened);
  EXPECT_EQ(give_socket(*opened, path, 0660, static_cast<uid_t>(-1), ::getegid()), 0);
  EXPECT_EQ(mode_of(path), 0660U);
}

// A link to somebody else's file in the socket's place gives nothing of that file away.
TEST(SocketFile, WhatIsNoSocketOfThisProcessStaysAsItIs) {
  const TemporaryDirectory directory;
  const std::string target = directory.path() + "/target";
  const std::string path = directory.path() + "/x.sock";
  std::ofstream(target) << "secret";
  ASSERT_EQ(::chmod(target.c_str(), 0600), 0);
  std::filesystem::create_symlink(target, path);
  const auto opened = open_directory_of(path, "hint");
  ASSERT_TRUE(opened);
  EXPECT_EQ(give_socket(*opened, path, 0666, static_cast<uid_t>(-1), static_cast<gid_t>(-1)), EEXIST);
  EXPECT_EQ(give_socket(*opened, target, 0666, static_cast<uid_t>(-1), static_cast<gid_t>(-1)), EEXIST);
  EXPECT_EQ(mode_of(target), 0600U);
}

// The socket is given by the directory that was checked, whatever its path names now.
TEST(SocketFile, IsInTheDirectoryThatWasChecked) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/own/x.sock";
  std::filesystem::create_directory(directory.path() + "/own");
  const auto opened = open_directory_of(path, "hint");
  ASSERT_TRUE(opened);
  std::filesystem::rename(directory.path() + "/own", directory.path() + "/moved");
  std::filesystem::create_directory(directory.path() + "/own");
  const FileDescriptor made = bound_at(path);
  EXPECT_EQ(give_socket(*opened, path, 0666, static_cast<uid_t>(-1), static_cast<gid_t>(-1)), ENOENT);
}

TEST(SocketFile, IsRemovedIfNobodyListens) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/x.sock";
  EXPECT_EQ(remove_unused_socket(path, SOCK_STREAM), 0) << "there is none";
  static_cast<void>(bound_at(path));
  EXPECT_EQ(remove_unused_socket(path, SOCK_STREAM), 0);
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
  const FileDescriptor listener = bound_at(path);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_EQ(remove_unused_socket(path, SOCK_STREAM), EADDRINUSE);
  EXPECT_EQ(remove_unused_socket(path, SOCK_SEQPACKET), EPROTOTYPE);
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(SocketFile, IsNotRemovedInThePlaceOfAnotherOne) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/x.sock";
  const FileDescriptor first = bound_at(path);
  const SocketIdentity identity = identity_of(path);
  std::filesystem::rename(path, path + ".before");
  const FileDescriptor second = bound_at(path);
  remove_socket(path, identity);
  EXPECT_TRUE(std::filesystem::exists(path));
  remove_socket(path, identity_of(path));
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace pollux::test
