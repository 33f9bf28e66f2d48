// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace pollux {

/// Connects to the socket of that path as it lies there: where its name or its directory is a link, the owner of what
/// they are in could lead root to sockets and file systems of others. `owner`: that of the directory. Returns an error
/// of errno(3), or 0. It needs /proc.
[[nodiscard]] inline int connect_socket(int descriptor, const std::string& path, uid_t& owner) {
  const auto slash = path.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
  const int directory = ::open(parent.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (directory < 0) return errno;
  struct stat found {};
  int error = ::fstat(directory, &found) == 0 ? 0 : errno;
  owner = found.st_uid;
  const std::string name = path.substr(slash + 1);
  const int file = error == 0 ? ::openat(directory, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
  if (file < 0 && error == 0) error = errno;
  ::close(directory);
  if (error != 0) return error;
  if (::fstat(file, &found) != 0 || !S_ISSOCK(found.st_mode)) {
    ::close(file);
    return ECONNREFUSED;
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string opened = "/proc/self/fd/" + std::to_string(file);
  opened.copy(address.sun_path, sizeof address.sun_path - 1);
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address);  // NOLINT(*-reinterpret-cast): connect(2)
  error = ::connect(descriptor, generic, sizeof address) == 0 ? 0 : errno;
  ::close(file);
  return error;
}

}  // namespace pollux
