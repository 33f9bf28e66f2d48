// SPDX-License-Identifier: BSD-3-Clause
#include "servers/vfio_user/connection.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <utility>

namespace pollux::vfio_user {

// The header is received alone. A larger read could also return the next message, and its descriptors with it.
bool Connection::receive() {
  if (closed()) return false;
  if (std::exchange(whole_, false)) {
    received_ = 0;
    descriptors_.clear();
  }
  if (received_ < sizeof header_) {
    received_ += read(std::as_writable_bytes(std::span(&header_, 1)).subspan(received_), true);
    if (received_ < sizeof header_ || !accept_header()) return false;
  }
  const std::size_t have = received_ - sizeof header_;
  if (have < payload_.size()) received_ += read(std::span(payload_).subspan(have), false);
  whole_ = !closed() && received_ == header_.size;
  return whole_;
}

bool Connection::accept_header() {
  if ((header_.flags & Header::kType) != Header::kCommand) {
    close("it sent a reply to a command that it did not get");
  } else if (header_.size < sizeof header_ || header_.size - sizeof header_ > kMaxPayload) {
    close("it sent a message of invalid size");
  } else {
    payload_.resize(header_.size - sizeof header_);
  }
  return !closed();
}

std::size_t Connection::read(std::span<std::byte> bytes, bool with_descriptors) {
  iovec data{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control;
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t count = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (count < 0) {
    if (errno != EAGAIN && errno != EINTR) close("the socket failed");
    return 0;
  }
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t descriptors = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < descriptors; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(part) + i * sizeof number, sizeof number);
      descriptors_.emplace_back(number);
    }
    if (!with_descriptors) close("it sent descriptors inside a message");
  }
  if ((message.msg_flags & MSG_CTRUNC) != 0 || descriptors_.size() > kMaxDescriptors) {
    close("it sent too many descriptors with a message");
  }
  if (count == 0) close("it closed the connection");
  return static_cast<std::size_t>(count);
}

void Connection::reply(std::span<const std::byte> payload) {
  Header header = header_;
  header.size = static_cast<std::uint32_t>(sizeof header + payload.size());
  header.flags = Header::kReply;
  header.error = 0;
  send(header, payload);
}

void Connection::reply_error(int error) {
  Header header = header_;
  header.size = sizeof header;
  header.flags = Header::kReply | Header::kError;
  header.error = static_cast<std::uint32_t>(error);
  send(header, {});
}

void Connection::send(const Header& header, std::span<const std::byte> payload) {
  if (closed()) return;
  const auto head = std::as_bytes(std::span(&header, 1));
  std::array<iovec, 2> data{iovec{const_cast<std::byte*>(head.data()), head.size()},
                            iovec{const_cast<std::byte*>(payload.data()), payload.size()}};
  msghdr message{};
  message.msg_iov = data.data();
  message.msg_iovlen = data.size();
  const ssize_t count = ::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count < 0 && errno != EAGAIN && errno != EINTR) return close("the socket failed");
  const auto sent = static_cast<std::size_t>(count < 0 ? 0 : count);
  if (sent < head.size()) {
    unsent_.assign(head.begin() + static_cast<std::ptrdiff_t>(sent), head.end());
    unsent_.insert(unsent_.end(), payload.begin(), payload.end());
  } else {
    const auto rest = payload.subspan(sent - head.size());
    unsent_.assign(rest.begin(), rest.end());
  }
}

void Connection::send_unsent() {
  if (closed() || unsent_.empty()) return;
  const ssize_t count = ::send(socket_.get(), unsent_.data(), unsent_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count < 0 && errno != EAGAIN && errno != EINTR) return close("the socket failed");
  if (count > 0) unsent_.erase(unsent_.begin(), unsent_.begin() + count);
}

}  // namespace pollux::vfio_user
