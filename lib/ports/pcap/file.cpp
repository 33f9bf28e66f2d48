// SPDX-License-Identifier: BSD-3-Clause
#include "ports/pcap/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

namespace pollux::pcap {
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

}  // namespace

Result<File> open_file(const std::string& path, int flags, std::string_view name) {
  constexpr mode_t kMode = 0666;  // less the umask
  File file;
  file.descriptor = Descriptor(::open(path.c_str(), flags | O_CLOEXEC, kMode));
  if (file.descriptor.get() < 0) return failed(errno, path, name);
  struct stat status {};
  if (::fstat(file.descriptor.get(), &status) != 0) return failed(errno, path, name);
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {} is not a regular file", name, path),
                "copy the data to a file first: a port must not block on a pipe or a terminal");
  }
  file.device = status.st_dev;
  file.inode = status.st_ino;
  return file;
}

}  // namespace pollux::pcap
