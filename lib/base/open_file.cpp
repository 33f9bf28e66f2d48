// SPDX-License-Identifier: BSD-3-Clause
#include "base/open_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

namespace pollux {
namespace {

tl::unexpected<Error> failed(int error, const std::string& path, std::string_view name) {
  const std::string what = fmt::format("{}: cannot open {}", name, path);
  switch (error) {
    case ENOENT: return fail_errno(ErrorCode::not_found, what, error, "check the path");
    case EACCES:
    case EPERM:
    case EROFS: return fail_errno(ErrorCode::permission_denied, what, error, fmt::format("see ls -l {}", path));
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

}  // namespace pollux
