// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/interrupts.hpp"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace pollux::qtest {
namespace {

constexpr std::int64_t kProtocolVersion = 0;
constexpr std::int64_t kOwnId = 0;  // QEMU's id; the ids of the cards follow
constexpr std::int64_t kSharedMemory = -1;
constexpr off_t kSharedMemorySize = 4096;

/// Sends one message: a 64-bit number, and `descriptor` if it is not negative.
bool send_message(int socket, std::int64_t number, int descriptor) {
  iovec bytes{.iov_base = &number, .iov_len = sizeof number};
  msghdr header{};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
  if (descriptor >= 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &descriptor, sizeof descriptor);
  }
  return ::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) == ssize_t{sizeof number};
}

tl::unexpected<Error> no_descriptors(int error) {
  return fail_errno(ErrorCode::io_error, "the eventfds of QEMU's interrupts cannot be created", error,
                    "raise the limit of open files (ulimit -n)");
}

}  // namespace

Result<DoorbellServer> DoorbellServer::create(unsigned cards, unsigned vectors) {
  DoorbellServer server;
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return no_descriptors(errno);
  server.server_ = FileDescriptor(ends[0]);
  server.client_ = FileDescriptor(ends[1]);
  server.memory_ = FileDescriptor(::memfd_create("pollux-doorbells", MFD_CLOEXEC));
  if (!server.memory_ || ::ftruncate(server.memory_.get(), kSharedMemorySize) != 0) return no_descriptors(errno);
  for (unsigned card = 0; card < cards; ++card) {
    auto& numbers = server.numbers_.emplace_back();
    for (unsigned vector = 0; vector < vectors; ++vector) {
      FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
      if (!event) return no_descriptors(errno);
      numbers.push_back(event.get());
      server.events_.push_back(std::move(event));
    }
  }
  if (auto sent = server.send_events(vectors); !sent) return pass_on(std::move(sent));
  return server;
}

Result<void> DoorbellServer::send_events(unsigned vectors) {
  bool sent = send_message(server_.get(), kProtocolVersion, -1) && send_message(server_.get(), kOwnId, -1) &&
              send_message(server_.get(), kSharedMemory, memory_.get());
  for (std::size_t card = 0; card < numbers_.size(); ++card) {
    const std::int64_t id = message(static_cast<unsigned>(card), 0) >> 16;
    for (unsigned vector = 0; vector < vectors; ++vector) {
      sent = sent && send_message(server_.get(), id, numbers_[card][vector]);
    }
  }
  if (!sent) return no_descriptors(errno);
  return {};
}

void DoorbellServer::drain(unsigned card) const noexcept {
  for (const int event : numbers_[card]) {
    std::uint64_t signals = 0;
    static_cast<void>(!::read(event, &signals, sizeof signals));
  }
}

}  // namespace pollux::qtest
