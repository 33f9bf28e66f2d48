// SPDX-License-Identifier: BSD-3-Clause
#include "base/socket_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/peer_socket.hpp"

namespace pollux {
namespace {

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return path.substr(0, slash == 0 ? 1 : slash);
}

const char* name_in(const std::string& path) noexcept {
  const auto slash = path.rfind('/');
  return path.c_str() + (slash == std::string::npos ? 0 : slash + 1);
}

}  // namespace

Result<FileDescriptor> open_directory_of(const std::string& path, const std::string& hint) {
  const std::string name = directory_of(path);
  FileDescriptor directory(::open(name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct stat found {};
  if (!directory || ::fstat(directory.get(), &found) != 0)
    return fail_errno(ErrorCode::io_error, "cannot open the directory " + name, errno, hint);
  const bool is_known = found.st_uid == 0 || found.st_uid == ::geteuid();
  const bool is_open = (found.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (found.st_mode & S_ISVTX) == 0;
  if (is_known && !is_open) return directory;
  return fail(ErrorCode::permission_denied,
              fmt::format("{}: other users may replace what is in the directory {}", path, name), hint);
}

// The mode first: the owner of a file may put another one in its place.
int give_socket(const FileDescriptor& directory, const std::string& path, mode_t mode, uid_t user,
                gid_t group) noexcept {
  const char* const name = name_in(path);
  struct stat found {};
  if (::fstatat(directory.get(), name, &found, AT_SYMLINK_NOFOLLOW) != 0) return errno;
  if (!S_ISSOCK(found.st_mode) || found.st_uid != ::geteuid()) return EEXIST;
  if (::fchmodat(directory.get(), name, mode, 0) != 0) return errno;
  return ::fchownat(directory.get(), name, user, group, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
}

SocketIdentity identity_of(const std::string& path) noexcept {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0 || !S_ISSOCK(found.st_mode)) return {};
  return {found.st_dev, found.st_ino, found.st_mtim};
}

namespace {

bool is_same(const SocketIdentity& one, const SocketIdentity& other) noexcept { return one.inode != 0 && one == other; }

}  // namespace

void remove_socket(const std::string& path, const SocketIdentity& socket) noexcept {
  if (is_same(socket, identity_of(path))) ::unlink(path.c_str());
}

int remove_unused_socket(const std::string& path, int type) {
  const SocketIdentity found = identity_of(path);
  sockaddr_un address{};
  if (found.inode == 0 || path.size() >= sizeof address.sun_path) return 0;
  address.sun_family = AF_UNIX;
  path.copy(&address.sun_path[0], path.size());
  FileDescriptor probe(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return errno;
  const bool connected = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  const int error = connected ? 0 : errno;
  static_cast<void>(PeerSocket(std::move(probe)));  // whoever listens there may have sent anything
  if (connected || error == EAGAIN) return EADDRINUSE;
  if (error != ECONNREFUSED) return error;
  remove_socket(path, found);  // somebody else may have done the same meanwhile, and listens there by now
  return 0;
}

}  // namespace pollux
