// SPDX-License-Identifier: BSD-3-Clause
#include "servers/vfio_user/listener.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace pollux::vfio_user {
namespace {

/// Maximum number of clients that wait until the one before them has gone.
constexpr int kBacklog = 4;
constexpr mode_t kMode = 0600;

FileDescriptor make_socket() {
  return FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

const sockaddr* generic(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

/// A socket that a process left behind when it ended.
bool is_stale(const sockaddr_un& address) {
  struct stat file {};
  if (::lstat(static_cast<const char*>(address.sun_path), &file) != 0 || !S_ISSOCK(file.st_mode)) return false;
  const FileDescriptor probe = make_socket();
  return probe && ::connect(probe.get(), generic(address), sizeof address) != 0 && errno == ECONNREFUSED;
}

}  // namespace

Result<Listener> Listener::create(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' cannot be a socket's path", path),
                fmt::format("use a path of 1 to {} bytes", sizeof address.sun_path - 1));
  }
  std::memcpy(static_cast<char*>(address.sun_path), path.data(), path.size());
  FileDescriptor socket = make_socket();
  // The file gets the mode of the socket, so that it is open to nobody else for a moment.
  if (!socket || ::fchmod(socket.get(), kMode) != 0)
    return fail_errno(ErrorCode::io_error, "a Unix socket cannot be created", errno, "raise the limit of open files");
  int bound = ::bind(socket.get(), generic(address), sizeof address);
  if (bound != 0 && errno == EADDRINUSE) {
    if (!is_stale(address)) {
      return fail(ErrorCode::busy, fmt::format("the socket {} is in use", path),
                  "stop the process that listens there, or use another path");
    }
    ::unlink(path.c_str());
    bound = ::bind(socket.get(), generic(address), sizeof address);
  }
  if (bound != 0) {
    return fail_errno(ErrorCode::io_error, fmt::format("the socket {} cannot be created", path), errno,
                      "use a path in an existing, writable folder");
  }
  Listener listener(std::move(socket), path);  // removes the file from here on
  if (::listen(listener.socket(), kBacklog) != 0)
    return fail_errno(ErrorCode::io_error, fmt::format("the socket {} cannot be listened on", path), errno);
  return listener;
}

Listener::~Listener() {
  if (socket_) ::unlink(path_.c_str());
}

FileDescriptor Listener::accept() const {
  return FileDescriptor(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

bool Listener::may_connect(int client) const {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (peer.uid == 0 || peer.uid == ::geteuid()) return true;
  struct stat file {};
  return ::lstat(path_.c_str(), &file) == 0 && S_ISSOCK(file.st_mode) && file.st_uid == peer.uid;
}

}  // namespace pollux::vfio_user
