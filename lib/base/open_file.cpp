// SPDX-License-Identifier: BSD-3-Clause
#include "base/open_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/shell_words.hpp"

namespace pollux {
namespace {

tl::unexpected<Error> failed(int error, const std::string& path, std::string_view name) {
  const std::string what = fmt::format("{}: cannot open {}", name, path);
  switch (error) {
    case ENOENT: return fail_errno(ErrorCode::not_found, what, error, "check the path");
    case EACCES:
    case EPERM:
    case EROFS:
      return fail_errno(ErrorCode::permission_denied, what, error, fmt::format("see ls -l {}", shell_quoted(path)));
    case EISDIR:
    case ENXIO: return fail_errno(ErrorCode::invalid_argument, what, error, "name a regular file");
    default: return fail_errno(ErrorCode::io_error, what, error);
  }
}

// O_NONBLOCK: opening a pipe must not wait for its other end.
Result<FileDescriptor> open_regular(const std::string& path, int flags, std::string_view name) {
  constexpr mode_t kMode = 0666;  // less the umask
  FileDescriptor file(::open(path.c_str(), flags | O_NONBLOCK | O_CLOEXEC, kMode));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) return failed(errno, path, name);
  if (S_ISREG(status.st_mode)) return file;
  return fail(ErrorCode::invalid_argument, fmt::format("{}: {} is not a regular file", name, path),
              "use a regular file; copy the data of a pipe or device to one first");
}

}  // namespace

Result<FileDescriptor> open_input_file(const std::string& path, std::string_view name) {
  auto file = open_regular(path, O_RDONLY, name);
  // It fails where the file is being written; it may be read meanwhile.
  if (file) static_cast<void>(::flock(file->get(), LOCK_SH | LOCK_NB));
  return file;
}

// The size that the kernel tells is not used: it is 0 for files of /proc.
Result<std::string> read_input_file(const std::string& path, std::string_view name, std::size_t limit) {
  const auto file = open_input_file(path, name);
  if (!file) return tl::unexpected<Error>(file.error());
  std::string bytes;
  for (;;) {
    constexpr std::size_t kStep = 65536;
    const std::size_t have = bytes.size();
    bytes.resize(std::min(have + kStep, limit + 1));
    const ssize_t got = ::read(file->get(), bytes.data() + have, bytes.size() - have);
    if (got < 0 && errno != EINTR)
      return fail_errno(ErrorCode::io_error, fmt::format("{}: cannot read {}", name, path), errno);
    bytes.resize(have + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) return bytes;
    if (bytes.size() > limit) {
      return fail(ErrorCode::invalid_argument, fmt::format("{}: {} has more than {} bytes", name, path, limit),
                  "name another file");
    }
  }
}

// The file is truncated only once the lock is held. A file system without locks fails in another way.
Result<FileDescriptor> open_output_file(const std::string& path, std::string_view name) {
  auto file = open_regular(path, O_WRONLY | O_CREAT, name);
  if (!file) return file;
  if (::flock(file->get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return fail(ErrorCode::busy, fmt::format("{}: {} is in use", name, path),
                "another port or process writes or reads it; choose another file");
  }
  if (::ftruncate(file->get(), 0) != 0) return failed(errno, path, name);
  return file;
}

bool is_program(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

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
