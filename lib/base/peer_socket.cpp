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
/// its end closes the last one.
void close_with_copy(int descriptor) {
  std::latch copied(1);
  std::latch closed(1);
  try {
    std::thread last([&] {
      static_cast<void>(::unshare(CLONE_FILES));
      copied.count_down();
      closed.wait();
    });
    copied.wait();
    ::close(descriptor);
    closed.count_down();
    last.join();
  } catch (const std::exception&) {
    ::close(descriptor);
  }
}

}  // namespace

void close_elsewhere(FileDescriptor descriptor) noexcept {
  if (!descriptor) return;
  const int number = descriptor.release();
  if (closers.fetch_add(1) < kMaxClosers) {
    try {
      const SignalsBlocked blocked;
      std::thread([number] {
        close_with_copy(number);
        closers.fetch_sub(1);
      }).detach();
      return;
    } catch (const std::exception&) {  // it stays open
    }
  }
  closers.fetch_sub(1);
}

PeerSocket::~PeerSocket() {
  if (!socket_) return;
  // From here on the peer can send no more, so what is left is all.
  static_cast<void>(::shutdown(socket_.get(), SHUT_RDWR));
  std::array<std::byte, 4096> left;
  constexpr int kReads = 64;
  for (int i = 0; i < kReads; ++i) {
    const ssize_t count = receive(left);
    if (count > 0 || (count < 0 && errno == EINTR)) continue;
    if (count < 0 && errno == EBADMSG) break;
    return;
  }
  close_elsewhere(std::move(socket_));
}

// Without room for control data the kernel takes no descriptor, and says whether there was one. Looking at a message
// takes only another reference, so that its end closes nothing.
ssize_t PeerSocket::receive(std::span<std::byte> bytes) const noexcept {
  iovec data{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  const ssize_t seen = ::recvmsg(socket_.get(), &message, MSG_PEEK | MSG_DONTWAIT);
  if (seen < 0) return seen;
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    errno = EBADMSG;
    return -1;
  }
  // No more than was seen: a message that came meanwhile may have descriptors.
  data.iov_len = static_cast<std::size_t>(seen);
  message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  return ::recvmsg(socket_.get(), &message, MSG_DONTWAIT);
}

}  // namespace pollux
