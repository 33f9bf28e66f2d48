// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "backends/qtest/connection.hpp"
#include "base/file_descriptor.hpp"

namespace pollux::test {

/// Both ends of a stream socket.
struct SocketPair {
  SocketPair();
  FileDescriptor near;
  FileDescriptor far;
};

/// QEMU's end of the connection, held by the test itself: what was sent is read, and answers are written, when it says
/// so.
class LinkPartner {
 public:
  explicit LinkPartner(FileDescriptor socket) : socket_(std::move(socket)) {}
  /// Writes all of `text`.
  void say(std::string_view text) const;
  /// What has arrived and was not heard before.
  [[nodiscard]] std::string hear() const;
  void hang_up() { socket_ = FileDescriptor(); }

 private:
  FileDescriptor socket_;
};

/// A QEMU that answers each command with what `answer` makes of it, on a thread of its own, until the socket closes.
class FakeQemu {
 public:
  using Answer = std::function<std::string(const std::string& command)>;
  explicit FakeQemu(Answer answer);
  ~FakeQemu();

  [[nodiscard]] qtest::QtestConnection& connection() { return *connection_; }
  /// Every command so far.
  [[nodiscard]] std::vector<std::string> commands() const;

 private:
  void serve();

  Answer answer_;
  FileDescriptor socket_;
  std::unique_ptr<qtest::QtestConnection> connection_;
  mutable std::mutex lock_;
  std::vector<std::string> commands_;
  std::thread thread_;
};

/// Long enough for any machine, however busy.
inline constexpr qtest::QtestConnection::Limits kPatient{.unanswered = 1024,
                                                         .patience = std::chrono::milliseconds(120000)};

}  // namespace pollux::test
