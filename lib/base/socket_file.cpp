// SPDX-License-Identifier: BSD-3-Clause
#include "base/socket_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

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

}  // namespace pollux
