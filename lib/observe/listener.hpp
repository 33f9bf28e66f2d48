// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/file_descriptor.hpp"
#include "observe/claim.hpp"
#include "pollux/base/error.hpp"

namespace pollux::observe {

struct ListenerOptions {
  OwnDirectory directory;
  std::string socket;  ///< empty: PID.sock in the directory
  mode_t mode = 0600;
  std::optional<gid_t> group = {};
};

/// A Unix socket that waits for clients. The destructor removes its file.
class Listener {
 public:
  /// Errors: see Telemetry::create.
  [[nodiscard]] static Result<Listener> create(const ListenerOptions& options);
  Listener(Listener&&) noexcept = default;
  Listener& operator=(Listener&&) = delete;
  ~Listener();

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }
  /// The next client that waits; an empty descriptor if none does. `denied`: it may not connect.
  [[nodiscard]] FileDescriptor accept(bool& denied) const;

 private:
  Listener(std::string path, std::optional<Claim> claim, FileDescriptor socket, std::optional<gid_t> group)
      : path_(std::move(path)), claim_(std::move(claim)), socket_(std::move(socket)), group_(group) {}
  [[nodiscard]] bool may_connect(int client) const;

  std::string path_;
  std::optional<Claim> claim_;  // of the process's number, unless the program chose the path
  FileDescriptor socket_;
  std::optional<gid_t> group_;
};

}  // namespace pollux::observe
