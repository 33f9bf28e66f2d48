// SPDX-License-Identifier: BSD-3-Clause
#include "unit/qtest/fake_qemu.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace pollux::test {

SocketPair::SocketPair() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  near = FileDescriptor(ends[0]);
  far = FileDescriptor(ends[1]);
}

void FakePeer::send(std::string_view text) const { EXPECT_TRUE(try_send(text)); }

bool FakePeer::try_send(std::string_view text) const {
  const ssize_t sent = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno == EPIPE) return false;
  EXPECT_EQ(sent, static_cast<ssize_t>(text.size()));
  return true;
}

std::string FakePeer::receive() const {
  std::string received;
  std::array<char, 4096> piece;
  for (;;) {
    const ssize_t got = ::recv(socket_.get(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (got <= 0) return received;
    received.append(piece.data(), static_cast<std::size_t>(got));
  }
}

FakeQemu::FakeQemu(Answer answer) : answer_(std::move(answer)) {
  SocketPair pair;
  socket_ = std::move(pair.far);
  connection_ = std::make_unique<qtest::QtestConnection>(std::move(pair.near), kLongTimeout);
  thread_ = std::thread([this] { serve(); });
}

FakeQemu::~FakeQemu() {
  connection_.reset();
  thread_.join();
}

void FakeQemu::serve() {
  std::string input;
  std::array<char, 4096> piece;
  for (;;) {
    const ssize_t got = ::recv(socket_.get(), piece.data(), piece.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    input.append(piece.data(), static_cast<std::size_t>(got));
    for (std::size_t end = input.find('\n'); end != std::string::npos; end = input.find('\n')) {
      const std::string command = input.substr(0, end);
      input.erase(0, end + 1);
      {
        const std::lock_guard guard(lock_);
        commands_.push_back(command);
      }
      const std::string reply = answer_(command);
      if (::send(socket_.get(), reply.data(), reply.size(), MSG_NOSIGNAL) < 0) return;
    }
  }
}

std::vector<std::string> FakeQemu::commands() const {
  const std::lock_guard guard(lock_);
  return commands_;
}

}  // namespace pollux::test
