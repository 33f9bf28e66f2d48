// SPDX-License-Identifier: BSD-3-Clause
#include "base/own_directory.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace pollux {

Result<FileDescriptor> open_own_directory(const std::string& path, const std::string& hint) {
  constexpr mode_t kMode = 0755;
  if (::mkdir(path.c_str(), kMode) != 0 && errno != EEXIST) {
    const bool refused = errno == EACCES || errno == EPERM || errno == EROFS;
    return fail_errno(refused ? ErrorCode::permission_denied : ErrorCode::io_error,
                      "cannot create the directory " + path, errno, hint);
  }
  FileDescriptor descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  const bool is_other = !descriptor && (errno == ENOTDIR || errno == ELOOP || errno == EACCES);
  if (!descriptor && !is_other)
    return fail_errno(ErrorCode::io_error, "cannot open the directory " + path, errno, hint);
  struct stat found {};
  if (!is_other && ::fstat(descriptor.get(), &found) == 0 && found.st_uid == ::geteuid() &&
      (found.st_mode & (S_IWGRP | S_IWOTH)) == 0) {
    return descriptor;
  }
  return fail(ErrorCode::permission_denied,
              path + " is not a directory of this user's that the user alone may write to", hint);
}

}  // namespace pollux
