// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "base/peer_socket.hpp"
#include "base/socket_file.hpp"
#include "observe/places.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux::observe {

/// Whether it is a directory of `owner` to which nobody else may write. A link is none.
[[nodiscard]] bool is_directory_of(const std::string& path, uid_t owner);

/// Where this user's programs have their sockets and names; see TelemetryOptions::directory. The first is the next
/// program's, if it can be made. There are several only if programs started at once where another user had taken the
/// name.
[[nodiscard]] std::vector<std::string> default_directories();

/// A directory for which open_own_directory has been called. The sockets in it have permissions of their own.
class OwnDirectory {
 public:
  /// Creates it if there is none. Empty: the default; a new one where another user has taken its name in /tmp. Errors:
  /// those of open_own_directory.
  [[nodiscard]] static Result<OwnDirectory> open(std::string path);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_->get(); }

 private:
  OwnDirectory(std::string path, FileDescriptor descriptor)
      : path_(std::move(path)), descriptor_(std::make_shared<const FileDescriptor>(std::move(descriptor))) {}

  std::string path_;
  std::shared_ptr<const FileDescriptor> descriptor_;
};

/// A name that no other process has: a locked file NAME.lock in a directory, which contains the process id. The lock
/// ends with the process, so the file of a process that died is claimed again. Only the user can open it: others could
/// lock it, too.
class Claim {
 public:
  /// nullopt: another process has the name, or this one. Error io_error.
  [[nodiscard]] static Result<std::optional<Claim>> take(const OwnDirectory& directory, const std::string& name);
  Claim(Claim&&) noexcept = default;
  Claim& operator=(Claim&& other) noexcept;
  ~Claim();

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  Claim(OwnDirectory directory, std::string name, FileDescriptor file)
      : directory_(std::move(directory)), name_(std::move(name)), file_(std::move(file)) {}

  OwnDirectory directory_;
  std::string name_;
  FileDescriptor file_;
};

/// Claims the first free name of PREFIX0, PREFIX1, ... Errors: no_memory (all of `limit` are taken), io_error.
[[nodiscard]] Result<Claim> claim_numbered(const OwnDirectory& directory, const std::string& prefix, unsigned limit);

/// Removes what processes that died have left in the directory: their sockets, and the files of their names.
void remove_stale(const OwnDirectory& directory);

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
  [[nodiscard]] PeerSocket accept(bool& denied) const;
  /// Whose process has connected.
  [[nodiscard]] static uid_t user_of(const PeerSocket& client) noexcept;

 private:
  Listener(std::string path, std::optional<Claim> claim, FileDescriptor socket, std::optional<gid_t> group)
      : path_(std::move(path)),
        file_(identity_of(path_)),
        claim_(std::move(claim)),
        socket_(std::move(socket)),
        group_(group) {}
  [[nodiscard]] bool may_connect(int client) const;

  std::string path_;
  SocketIdentity file_;
  std::optional<Claim> claim_;  // of the process's number, unless the program chose the path
  FileDescriptor socket_;
  std::optional<gid_t> group_;
};

/// One client: its requests and the replies that it has not read yet. Both are bounded.
class Connection {
 public:
  static constexpr std::size_t kMaxRequest = std::size_t{64} << 10;  ///< bytes of a line
  static constexpr std::size_t kMaxQueued = std::size_t{1} << 20;    ///< bytes of replies

  /// `socket` does not block. `now` is the time of its first sign of life. `user` has it.
  Connection(std::uint64_t id, PeerSocket socket, Time now = {}, uid_t user = 0)
      : id_(id), user_(user), socket_(std::move(socket)), active_(now) {}

  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] uid_t user() const noexcept { return user_; }
  [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }
  void set_active(Time now) noexcept { active_ = now; }
  /// An answer takes some time. The connection has no next request before, and is not over.
  [[nodiscard]] bool waits() const noexcept { return waits_; }
  void set_waits(bool waits) noexcept { waits_ = waits; }

  /// Its place among the clients.
  [[nodiscard]] Place place(Time now) const noexcept;
  /// Reads what has arrived, until a whole request is there.
  void receive();
  /// Bytes that it has read.
  [[nodiscard]] std::uint64_t taken() const noexcept { return taken_; }
  /// The next whole request, without its end of line.
  [[nodiscard]] std::optional<std::string> next_request();
  [[nodiscard]] bool has_request() const noexcept { return received_.find('\n') != std::string::npos; }
  /// The client sent more than kMaxRequest bytes without an end of line.
  [[nodiscard]] bool is_too_long() const noexcept { return received_.size() > kMaxRequest && !has_request(); }

  /// Adds the end of line.
  void reply(std::string_view line);
  /// Sends what the client takes.
  void flush();
  [[nodiscard]] bool has_replies() const noexcept { return sent_ < replies_.size(); }
  /// Bytes of replies in memory, some of which may be sent.
  [[nodiscard]] std::size_t held() const noexcept { return replies_.size(); }
  [[nodiscard]] bool is_too_slow() const noexcept { return replies_.size() - sent_ > kMaxQueued; }

  /// Gives the socket, and the replies that were not sent, to another owner. The connection is over then.
  [[nodiscard]] PeerSocket release(std::string& unsent);

  void disconnect() noexcept { broken_ = true; }
  /// The client sends no more, and has all replies; or the connection is broken.
  [[nodiscard]] bool is_over() const noexcept {
    return broken_ || (ended_ && !waits_ && !has_request() && !has_replies());
  }

 private:
  /// Whether there is something to read: the client waits, and is not idle.
  [[nodiscard]] bool has_input() const noexcept;

  std::uint64_t id_;
  uid_t user_;
  PeerSocket socket_;
  Time active_;  // when it connected or asked last
  std::string received_;
  std::uint64_t taken_ = 0;
  std::string replies_;
  std::size_t sent_ = 0;  // of replies_
  bool waits_ = false;
  bool ended_ = false;
  bool broken_ = false;
};

}  // namespace pollux::observe
