// SPDX-License-Identifier: BSD-3-Clause
#include "netlink/socket.hpp"

#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>

namespace pollux::netlink {
namespace {

constexpr int kDumpAttempts = 5;
constexpr timeval kReceiveTimeout{2, 0};
constexpr const char* kHint = "check that `ip link` works here";

}  // namespace

Result<Socket> Socket::open(int family) {
  FileDescriptor descriptor(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family));
  if (!descriptor) return fail_errno(ErrorCode::io_error, "cannot open a netlink socket", errno, kHint);
  if (::setsockopt(descriptor.get(), SOL_SOCKET, SO_RCVTIMEO, &kReceiveTimeout, sizeof kReceiveTimeout) != 0) {
    return fail_errno(ErrorCode::io_error, "cannot set a timeout on the netlink socket", errno, kHint);
  }
  const int on = 1;
  for (const int wish : {NETLINK_EXT_ACK, NETLINK_CAP_ACK}) {  // remarks, without the request that they are about
    static_cast<void>(::setsockopt(descriptor.get(), SOL_NETLINK, wish, &on, sizeof on));
  }
  return Socket(std::move(descriptor));
}

Result<void> Socket::dump(std::uint16_t type, const Payload& request, const std::function<void()>& restart,
                          const Handler& handler) {
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    restart();
    if (auto sent = send(type, NLM_F_REQUEST | NLM_F_DUMP, request); !sent) return sent;
    auto is_torn = receive(true, handler);
    if (!is_torn) return pass_on(std::move(is_torn));
    if (!*is_torn) return {};
  }
  return fail(ErrorCode::busy, "the host's network configuration changes too fast to be read",
              "try again when no interfaces are being changed");
}

Result<void> Socket::get(std::uint16_t type, const Payload& request, const Handler& handler) {
  if (auto sent = send(type, NLM_F_REQUEST | NLM_F_ACK, request); !sent) return sent;
  return receive(false, handler).map([](bool) {});
}

Result<void> Socket::change(std::uint16_t type, std::uint16_t flags, const Payload& request) {
  const auto request_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
  if (auto sent = send(type, request_flags, request); !sent) return sent;
  auto made = receive(false, [](std::uint16_t, Bytes) {});
  if (made) return {};
  made.error().what = "the kernel did not accept a setting of the network: " + made.error().what;
  made.error().hint = "see the kernel's log: dmesg | tail";
  return pass_on(std::move(made));
}

Result<void> Socket::add(std::uint16_t type, const Payload& request) {
  auto added = change(type, NLM_F_CREATE | NLM_F_APPEND, request);
  if (!added && last_error_ == EEXIST) return {};
  return added;
}

tl::unexpected<Error> Socket::failed(const char* what, int error) {
  last_error_ = error;
  return fail_errno(error == EAGAIN ? ErrorCode::timeout : ErrorCode::io_error, what, error, kHint);
}

Result<void> Socket::send(std::uint16_t type, std::uint16_t flags, const Payload& request) {
  last_error_ = 0;
  const Bytes body = request.bytes();
  nlmsghdr header{};
  header.nlmsg_len = static_cast<std::uint32_t>(sizeof header + body.size());
  header.nlmsg_type = type;
  header.nlmsg_flags = flags;
  header.nlmsg_seq = ++sequence_;
  std::vector<std::byte> message(header.nlmsg_len);
  std::memcpy(message.data(), &header, sizeof header);
  std::memcpy(message.data() + sizeof header, body.data(), body.size());
  if (::send(descriptor_.get(), message.data(), message.size(), 0) >= 0) return {};
  return failed("cannot ask the kernel by netlink", errno);
}

// A socket that no other process knows gets messages also from those that may administer its network.
Result<Bytes> Socket::receive_datagram() {
  for (;;) {
    sockaddr_nl sender{};
    socklen_t bytes = sizeof sender;
    const auto got = ::recvfrom(descriptor_.get(), buffer_.data(), buffer_.size(), MSG_TRUNC,
                                reinterpret_cast<sockaddr*>(&sender), &bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("the kernel did not answer by netlink", errno);
    if (static_cast<std::size_t>(got) > buffer_.size()) return failed("an answer by netlink is too long", EMSGSIZE);
    if (sender.nl_pid == 0) return Bytes(buffer_).first(static_cast<std::size_t>(got));
  }
}

// Messages with another sequence number belong to an abandoned request.
Result<bool> Socket::receive(bool is_dump, const Handler& handler) {
  bool is_torn = false;
  std::optional<Ending> ending;
  while (!ending) {
    const auto datagram = receive_datagram();
    if (!datagram) return tl::unexpected(datagram.error());
    const bool is_whole = for_each_message(*datagram, [&](const nlmsghdr& header, Bytes payload) {
      if (header.nlmsg_seq != sequence_ || ending) return;
      is_torn = is_torn || (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
      if (header.nlmsg_type >= NLMSG_MIN_TYPE) return handler(header.nlmsg_type, payload);
      ending = read_ending(header, payload, is_dump);
    });
    if (!is_whole) return failed("an answer by netlink is malformed", EBADMSG);
  }
  if (ending->error == 0) return is_torn;
  const std::string remark = ending->remark.empty() ? "" : " (" + ending->remark + ")";
  return failed(("the kernel answered with an error" + remark).c_str(), ending->error);
}

}  // namespace pollux::netlink
