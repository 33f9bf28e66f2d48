// SPDX-License-Identifier: BSD-3-Clause
#include "base/peer_socket.hpp"

#include <sched.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <exception>
#include <latch>
#include <thread>

#include "base/signals_blocked.hpp"

namespace pollux {
namespace {

constexpr int kMaxClosers = 256;
constinit std::atomic<int> closers = 0;

/// The kernel does not linger for a thread that exits. So a second thread takes a copy of the table of descriptors, and
/// its end closes the last ones.
void close_with_copy(const std::vector<int>& descriptors) {
  const auto close_all = [&] {
    for (const int descriptor : descriptors) ::close(descriptor);
  };
  std::latch copied(1);
  std::latch closed(1);
  try {
    std::thread last([&] {
      static_cast<void>(::unshare(CLONE_FILES));
      copied.count_down();
      closed.wait();
    });
    copied.wait();
    close_all();
    closed.count_down();
    last.join();
  } catch (const std::exception&) {
    close_all();
  }
}

}  // namespace

void close_elsewhere(std::vector<FileDescriptor> descriptors, std::shared_ptr<const void> held) noexcept {
  bool started = false;
  if (closers.fetch_add(1) < kMaxClosers) {
    try {
      std::vector<int> numbers;
      for (const FileDescriptor& descriptor : descriptors) numbers.push_back(descriptor.get());
      const SignalsBlocked blocked;
      std::thread([numbers = std::move(numbers), owned = std::move(held)] {
        close_with_copy(numbers);
        closers.fetch_sub(1);
      }).detach();
      started = true;
    } catch (const std::exception&) {  // they stay open
    }
  }
  if (!started) closers.fetch_sub(1);
  for (FileDescriptor& descriptor : descriptors) static_cast<void>(descriptor.release());
}

void close_elsewhere(FileDescriptor descriptor) noexcept {
  if (!descriptor) return;
  try {
    std::vector<FileDescriptor> one(1);
    one.front() = std::move(descriptor);
    close_elsewhere(std::move(one));
  } catch (const std::exception&) {
    static_cast<void>(descriptor.release());
  }
}

void close_listener(FileDescriptor listener) noexcept {
  if (!listener) return;
  // From here on nobody can connect.
  static_cast<void>(::shutdown(listener.get(), SHUT_RDWR));
  for (;;) {
    FileDescriptor client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!client && (errno == EINVAL || errno == EAGAIN)) return;
    if (!client && errno != EINTR) break;
    static_cast<void>(PeerSocket(std::move(client)));
  }
  close_elsewhere(std::move(listener));
}

PeerSocket::~PeerSocket() {
  if (socket_ && has_descriptors_left()) close_elsewhere(std::move(socket_));
}

namespace {

/// As recv(2) with MSG_DONTWAIT, but fails with EBADMSG if the message has more control data than `control`, which has
/// no room for descriptors. What is left of `control` afterwards is what the message has.
///
/// Without room the kernel takes no descriptor, and says whether there was one. Looking at a message takes only another
/// reference, so that its end closes nothing.
ssize_t receive_without_descriptors(int socket, std::span<std::byte> bytes, std::span<std::byte>& control) noexcept {
  iovec data{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t seen = ::recvmsg(socket, &message, MSG_PEEK | MSG_DONTWAIT);
  if (seen < 0) return seen;
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    errno = EBADMSG;
    return -1;
  }
  control = control.first(message.msg_controllen);
  // No more than was seen: a message that came meanwhile may have descriptors.
  data.iov_len = static_cast<std::size_t>(seen);
  message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  return ::recvmsg(socket, &message, MSG_DONTWAIT);
}

}  // namespace

ssize_t PeerSocket::receive(std::span<std::byte> bytes) const noexcept {
  std::span<std::byte> no_room;
  return receive_without_descriptors(socket_.get(), bytes, no_room);
}

// True also where it cannot be known.
bool PeerSocket::has_descriptors_left() const noexcept {
  // From here on the peer can send no more, so what is left is all.
  static_cast<void>(::shutdown(socket_.get(), SHUT_RDWR));
  // On a stream only the end has no bytes. On other sockets a message may have none, but has its sender's credentials.
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(socket_.get(), SOL_SOCKET, SO_TYPE, &type, &size) != 0) return true;
  const bool is_stream = type == SOCK_STREAM;
  constexpr int kOn = 1;
  if (!is_stream && ::setsockopt(socket_.get(), SOL_SOCKET, SO_PASSCRED, &kOn, sizeof kOn) != 0) return true;
  constexpr int kReads = 64;
  for (int i = 0; i < kReads; ++i) {
    std::array<std::byte, 32768> bytes;  // a peer may have filled the socket, and waits for nothing
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(ucred))> room;
    std::span<std::byte> credentials = is_stream ? std::span<std::byte>() : room;
    const ssize_t count = receive_without_descriptors(socket_.get(), bytes, credentials);
    if (count == 0 && credentials.empty()) return false;
    if (count < 0 && errno == EBADMSG) return true;
    // Messages may follow another error: ECONNRESET comes first if the peer has not read all.
  }
  return true;
}

}  // namespace pollux
