// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux::vfio_user {

/// A Unix socket that clients connect to. The destructor removes it. Its mode is 0600: it belongs to the user of this
/// process, who may give it to another one (chown).
class Listener {
 public:
  /// Replaces a socket that no process listens on. Errors: invalid_argument (the path is too long), busy (a process
  /// listens there, or the path is not a socket), io_error.
  [[nodiscard]] static Result<Listener> create(const std::string& path);
  Listener(Listener&& other) noexcept = default;
  Listener& operator=(Listener&& other) = delete;
  ~Listener();

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] int socket() const noexcept { return socket_.get(); }
  /// The next client, if one waits. Never blocks.
  [[nodiscard]] FileDescriptor accept() const;
  /// Whether a client is root, of the user of this process, or of the user to whom the socket's file belongs.
  [[nodiscard]] bool may_connect(int client) const;

 private:
  Listener(FileDescriptor socket, std::string path) : socket_(std::move(socket)), path_(std::move(path)) {}

  FileDescriptor socket_;
  std::string path_;
};

}  // namespace pollux::vfio_user
