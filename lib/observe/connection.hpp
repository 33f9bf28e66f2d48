// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/file_descriptor.hpp"
#include "pollux/base/clock.hpp"

namespace pollux::observe {

/// One client: its requests and the replies that it has not read yet. Both are bounded.
class Connection {
 public:
  static constexpr std::size_t kMaxRequest = std::size_t{64} << 10;  ///< bytes of a line
  static constexpr std::size_t kMaxQueued = std::size_t{1} << 20;    ///< bytes of replies

  /// `socket` does not block. `now` is the time of its first sign of life.
  Connection(std::uint64_t id, FileDescriptor socket, Time now = {})
      : id_(id), socket_(std::move(socket)), active_(now) {}

  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }
  /// When it connected or asked last.
  [[nodiscard]] Time active() const noexcept { return active_; }
  void set_active(Time now) noexcept { active_ = now; }
  /// An answer takes some time. The connection has no next request before, and is not over.
  [[nodiscard]] bool waits() const noexcept { return waits_; }
  void set_waits(bool waits) noexcept { waits_ = waits; }

  /// Reads what has arrived, until a whole request is there.
  void receive();
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
  [[nodiscard]] FileDescriptor release(std::string& unsent);

  void disconnect() noexcept { broken_ = true; }
  /// The client sends no more, and has all replies; or the connection is broken.
  [[nodiscard]] bool is_over() const noexcept {
    return broken_ || (ended_ && !waits_ && !has_request() && !has_replies());
  }

 private:
  std::uint64_t id_;
  FileDescriptor socket_;
  Time active_;
  std::string received_;
  std::string replies_;
  std::size_t sent_ = 0;  // of replies_
  bool waits_ = false;
  bool ended_ = false;
  bool broken_ = false;
};

}  // namespace pollux::observe
