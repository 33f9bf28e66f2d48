// SPDX-License-Identifier: BSD-3-Clause
#include "observe/connection.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace pollux::observe {

void Connection::receive() {
  std::array<char, 4096> chunk;
  while (!ended_ && !broken_ && !has_request() && received_.size() <= kMaxRequest) {
    const ssize_t count = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (count > 0) {
      received_.append(chunk.data(), static_cast<std::size_t>(count));
    } else if (count == 0) {
      ended_ = true;
    } else if (errno != EINTR) {
      broken_ = errno != EAGAIN && errno != EWOULDBLOCK;
      return;
    }
  }
}

std::optional<std::string> Connection::next_request() {
  const std::size_t end = received_.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = received_.substr(0, end);
  received_.erase(0, end + 1);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

// All or nothing, if memory is lacking.
void Connection::reply(std::string_view line) {
  const std::size_t size = replies_.size() + line.size() + 1;
  if (size > replies_.capacity()) replies_.reserve(std::max(size, 2 * replies_.capacity()));
  replies_ += line;
  replies_ += '\n';
}

void Connection::flush() {
  while (has_replies() && !broken_) {
    const ssize_t count =
        ::send(socket_.get(), replies_.data() + sent_, replies_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      sent_ += static_cast<std::size_t>(count);
    } else if (errno != EINTR) {
      broken_ = errno != EAGAIN && errno != EWOULDBLOCK;
      break;
    }
  }
  // Not only once all is sent: a client may always leave a rest. Fewer bytes are moved than were sent.
  if (sent_ > replies_.size() / 2) {
    replies_.erase(0, sent_);
    sent_ = 0;
  }
}

FileDescriptor Connection::release(std::string& unsent) {
  unsent = replies_.substr(sent_);
  replies_.clear();
  sent_ = 0;
  broken_ = true;
  return std::move(socket_);
}

}  // namespace pollux::observe
