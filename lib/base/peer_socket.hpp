// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"

namespace pollux {

/// Closes descriptors that somebody else has sent, one after the other in a thread of their own, which ends with them:
/// to close one may wait as long as the sender likes (a TCP socket with SO_LINGER, a file of a FUSE mount). Where no
/// thread can be started, or too many of them wait, they stay open. `held` has another owner until they are closed.
void close_elsewhere(std::vector<FileDescriptor> descriptors, std::shared_ptr<const void> held = nullptr) noexcept;
void close_elsewhere(FileDescriptor descriptor) noexcept;

/// Closes a listening Unix socket. Never waits, whatever those have sent whose connections nobody has accepted.
void close_listener(FileDescriptor listener) noexcept;

/// A connected Unix socket to a process that is not trusted and that has no reason to send descriptors. None is taken:
/// whatever one refers to stays in the socket's queue, and nothing is closed in the thread that calls.
class PeerSocket {
 public:
  PeerSocket() = default;
  explicit PeerSocket(FileDescriptor socket) noexcept : socket_(std::move(socket)) {}
  PeerSocket(PeerSocket&&) noexcept = default;
  PeerSocket& operator=(PeerSocket&& other) noexcept {
    std::swap(socket_, other.socket_);
    return *this;
  }
  /// Never waits. A socket with descriptors in its queue is closed by close_elsewhere.
  ~PeerSocket();

  /// -1 if there is none.
  [[nodiscard]] int get() const noexcept { return socket_.get(); }
  /// As recv(2) with MSG_DONTWAIT, but fails with EBADMSG if the peer has sent a descriptor with what would be read, or
  /// on a stream right behind it. A message that is longer than `bytes` is cut.
  [[nodiscard]] ssize_t receive(std::span<std::byte> bytes) const noexcept;
  /// The caller closes it.
  [[nodiscard]] FileDescriptor release() noexcept { return std::move(socket_); }

 private:
  [[nodiscard]] bool has_descriptors_left() const noexcept;

  FileDescriptor socket_;
};

}  // namespace pollux
