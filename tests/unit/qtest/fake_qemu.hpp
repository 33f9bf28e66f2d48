// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "backends/qtest/machine.hpp"
#include "base/file_descriptor.hpp"

namespace pollux::test {

/// Both ends of a stream socket.
struct SocketPair {
  SocketPair();
  FileDescriptor near;
  FileDescriptor far;
};

/// QEMU's end of the connection, controlled by the test: it reads commands and writes replies only when told to.
class FakePeer {
 public:
  explicit FakePeer(FileDescriptor socket) : socket_(std::move(socket)) {}
  /// Writes all of `text`.
  void send(std::string_view text) const;
  /// The same. Returns false if the other end is closed.
  [[nodiscard]] bool try_send(std::string_view text) const;
  /// Reads everything that has arrived since the last call.
  [[nodiscard]] std::string receive() const;
  void close() { socket_ = FileDescriptor(); }

 private:
  FileDescriptor socket_;
};

/// A fake QEMU that replies to each command with the result of `answer`. It runs on its own thread until the socket
/// closes.
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
inline constexpr qtest::QtestConnection::Limits kLongTimeout{.unanswered = 1024,
                                                             .timeout = std::chrono::milliseconds(120000)};

}  // namespace pollux::test
