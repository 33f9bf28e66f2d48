// SPDX-License-Identifier: BSD-3-Clause
#include "base/peer_socket.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <string_view>
#include <thread>
#include <utility>

namespace pollux::test {
namespace {

struct Ends {
  PeerSocket own;
  FileDescriptor peer;
};

Ends connect(int type) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()), 0);
  return {PeerSocket(FileDescriptor(ends[0])), FileDescriptor(ends[1])};
}

void send(const FileDescriptor& from, std::string_view text, int descriptor = -1) {
  iovec data{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
  }
  ASSERT_EQ(::sendmsg(from.get(), &message, 0), static_cast<ssize_t>(text.size()));
}

constexpr int kLinger = 120;  // seconds

/// A TCP socket whose close waits: its peer does not read. The peer is `other`.
FileDescriptor lingering_socket(FileDescriptor& other) {
  const FileDescriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const raw = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(listener.get(), raw, size), 0);
  EXPECT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_EQ(::getsockname(listener.get(), raw, &size), 0);
  FileDescriptor made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(made.get(), raw, size), 0);
  other = FileDescriptor(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  const std::array<char, 65536> chunk{};
  while (::send(made.get(), chunk.data(), chunk.size(), MSG_DONTWAIT) > 0) continue;
  const linger option{1, kLinger};
  EXPECT_EQ(::setsockopt(made.get(), SOL_SOCKET, SO_LINGER, &option, sizeof option), 0);
  return made;
}

std::ptrdiff_t threads() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
}

/// Stands before the others, whose threads may still end.
TEST(CloseElsewhere, DoesNotLinger) {
  const auto before = threads();
  FileDescriptor other;
  close_elsewhere(lingering_socket(other));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(kLinger / 2);
  while (threads() > before) {
    ASSERT_LT(std::chrono::steady_clock::now(), end) << "a thread waits for the socket's peer";
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  // It is closed: after what was sent, its peer finds the end.
  ASSERT_EQ(::fcntl(other.get(), F_SETFL, O_NONBLOCK), 0);
  std::array<char, 65536> chunk;
  while (::recv(other.get(), chunk.data(), chunk.size(), 0) != 0) ASSERT_LT(std::chrono::steady_clock::now(), end);
}

class PeerSockets : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(Types, PeerSockets, testing::Values(SOCK_STREAM, SOCK_SEQPACKET));

TEST_P(PeerSockets, ReceiveWhatHasNoDescriptorAndNothingElse) {
  const Ends ends = connect(GetParam());
  std::array<std::byte, 100> bytes{};
  EXPECT_EQ(ends.own.receive(bytes), -1);
  EXPECT_EQ(errno, EAGAIN);
  send(ends.peer, "hello");
  EXPECT_EQ(ends.own.receive(bytes), 5);
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK), 0);
  const FileDescriptor reader(pipe[0]);
  send(ends.peer, "hello", FileDescriptor(pipe[1]).get());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ends.own.receive(bytes), -1);
    EXPECT_EQ(errno, EBADMSG);
  }
  char byte = 0;
  EXPECT_EQ(::read(reader.get(), &byte, 1), -1) << "the descriptor has been closed, by this thread";
}

/// Runs what closes a lingering socket, and must not wait for it.
template <class Body>
void expect_no_wait(Body body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(kLinger / 2));
}

TEST_P(PeerSockets, ADescriptorWhoseCloseWaitsHoldsUpNobody) {
  FileDescriptor other;
  expect_no_wait([&] {
    for (int i = 0; i < 20; ++i) {
      Ends ends = connect(GetParam());
      send(ends.peer, "first");
      send(ends.peer, "second", lingering_socket(other).get());
      std::array<std::byte, 100> bytes{};
      while (ends.own.receive(bytes) > 0) continue;
    }
  });
}

TEST_P(PeerSockets, WithoutDescriptorsAreClosedAtOnce) {
  for (const bool peer_ends_first : {true, false}) {
    Ends ends = connect(GetParam());
    send(ends.peer, "text");
    if (GetParam() == SOCK_SEQPACKET) send(ends.peer, "");
    const int number = ends.own.get();
    if (peer_ends_first) ends.peer = FileDescriptor();
    ends.own = PeerSocket();
    EXPECT_EQ(::fcntl(number, F_GETFD), -1);
  }
}

TEST_P(PeerSockets, AnAssignedOneIsClosedLikeAny) {
  FileDescriptor other;
  expect_no_wait([&] {
    Ends ends = connect(GetParam());
    send(ends.peer, "text", lingering_socket(other).get());
    ends.own = PeerSocket();
  });
}

TEST_P(PeerSockets, APeerThatHasNotReadAllHidesNothing) {
  FileDescriptor other;
  expect_no_wait([&] {
    Ends ends = connect(GetParam());
    ASSERT_EQ(::send(ends.own.get(), "answer", 6, 0), 6);
    send(ends.peer, "text", lingering_socket(other).get());
    ends.peer = FileDescriptor();
  });
}

TEST(PeerSocket, IsToldAnEmptyMessageFromTheEnd) {
  FileDescriptor other;
  expect_no_wait([&] {
    Ends ends = connect(SOCK_SEQPACKET);
    for (int i = 0; i < 3; ++i) send(ends.peer, "");
    send(ends.peer, "text", lingering_socket(other).get());
  });
}

TEST(CloseListener, DoesNotWaitForWhatNobodyHasAccepted) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;  // the kernel chooses an abstract name
  FileDescriptor listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto* const raw = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(listener.get(), raw, sizeof address.sun_family), 0);
  ASSERT_EQ(::listen(listener.get(), 8), 0);
  socklen_t size = sizeof address;
  ASSERT_EQ(::getsockname(listener.get(), raw, &size), 0);
  std::array<FileDescriptor, 3> clients;
  FileDescriptor other;
  for (FileDescriptor& client : clients) {
    client = FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(client.get(), raw, size), 0);
    send(client, "text", lingering_socket(other).get());
  }
  expect_no_wait([&] { close_listener(std::move(listener)); });
  EXPECT_EQ(::connect(FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)).get(), raw, size), -1);
}

}  // namespace
}  // namespace pollux::test
