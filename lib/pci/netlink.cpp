// SPDX-License-Identifier: BSD-3-Clause
#include "pci/netlink.hpp"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>

namespace pollux::pci::netlink {
namespace {

constexpr int kDumpAttempts = 5;
constexpr timeval kReceiveTimeout{2, 0};

constexpr std::size_t padded(std::size_t length) { return (length + 3U) & ~std::size_t{3}; }

tl::unexpected<Error> failed(const char* what, int error) {
  const ErrorCode code = error == EAGAIN ? ErrorCode::timeout : ErrorCode::io_error;
  return fail_errno(code, std::string("cannot read the host's network state: ") + what, error,
                    "check that `ip link` works here, or bind with --force if the port is known to be unused");
}

}  // namespace

std::string read_string(Bytes bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    if (byte == std::byte{0}) break;
    text.push_back(static_cast<char>(byte));
  }
  return text;
}

void for_each_attribute(Bytes bytes, const std::function<void(std::uint16_t, Bytes)>& found) {
  while (const auto header = read<nlattr>(bytes)) {
    if (header->nla_len < sizeof(nlattr) || header->nla_len > bytes.size()) return;
    const auto type = static_cast<std::uint16_t>(header->nla_type & NLA_TYPE_MASK);
    found(type, bytes.first(header->nla_len).subspan(sizeof(nlattr)));
    bytes = bytes.subspan(std::min(padded(header->nla_len), bytes.size()));
  }
}

Bytes find_attribute(Bytes bytes, std::uint16_t wanted) {
  Bytes payload;
  for_each_attribute(bytes, [&](std::uint16_t type, Bytes found) {
    if (type == wanted) payload = found;
  });
  return payload;
}

Bytes after_header(Bytes bytes, std::size_t size) { return bytes.subspan(std::min(padded(size), bytes.size())); }

Result<bool> ends_answer(std::uint16_t type, Bytes payload, bool is_dump) {
  const bool done = type == NLMSG_DONE;
  if (!done && type != NLMSG_ERROR) return false;
  const int error = -read<int>(payload).value_or(done ? 0 : -EBADMSG);
  if (error > 0) return failed("rtnetlink returned an error", error);
  return done || !is_dump;
}

Payload& Payload::add(std::uint16_t type, Bytes value) {
  const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + value.size()), type};
  append(&header, sizeof header);
  append(value.data(), value.size());
  return *this;
}

void Payload::append(const void* data, std::size_t size) {
  const std::size_t at = bytes_.size();
  bytes_.resize(at + padded(size));
  std::memcpy(bytes_.data() + at, data, size);
}

Result<Socket> Socket::open() {
  FileDescriptor descriptor(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!descriptor) return failed("cannot open an rtnetlink socket", errno);
  if (::setsockopt(descriptor.get(), SOL_SOCKET, SO_RCVTIMEO, &kReceiveTimeout, sizeof kReceiveTimeout) != 0) {
    return failed("cannot set a timeout on the rtnetlink socket", errno);
  }
  return Socket(std::move(descriptor));
}

Result<void> Socket::dump(std::uint16_t type, const Payload& request, const std::function<void()>& restart,
                          const Handler& handler) {
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    restart();
    if (auto sent = send(type, NLM_F_REQUEST | NLM_F_DUMP, request); !sent) return sent;
    auto progress = collect(true, handler);
    if (!progress) return pass_on(std::move(progress));
    if (!progress->torn) return {};
  }
  return fail(ErrorCode::busy, "the host's network configuration changes too fast to be read",
              "try again when no interfaces are being changed");
}

Result<void> Socket::get(std::uint16_t type, const Payload& request, const Handler& handler) {
  if (auto sent = send(type, NLM_F_REQUEST | NLM_F_ACK, request); !sent) return sent;
  auto progress = collect(false, handler);
  if (!progress) return pass_on(std::move(progress));
  return {};
}

Result<void> Socket::change(std::uint16_t type, std::uint16_t flags, const Payload& request) {
  const auto request_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
  if (auto sent = send(type, request_flags, request); !sent) return sent;
  auto progress = collect(false, [](std::uint16_t, Bytes) {});
  if (progress) return {};
  progress.error().what = "the kernel did not accept a setting of the network: " + progress.error().what;
  progress.error().hint = "see the kernel's log: dmesg | tail";
  return pass_on(std::move(progress));
}

Result<void> Socket::add(std::uint16_t type, const Payload& request) {
  last_error_ = 0;
  auto added = change(type, NLM_F_CREATE | NLM_F_APPEND, request);
  if (!added && last_error_ == EEXIST) return {};
  return added;
}

Result<void> Socket::send(std::uint16_t type, std::uint16_t flags, const Payload& request) {
  const Bytes body = request.bytes();
  nlmsghdr header{};
  header.nlmsg_len = static_cast<std::uint32_t>(sizeof header + body.size());
  header.nlmsg_type = type;
  header.nlmsg_flags = flags;
  header.nlmsg_seq = ++sequence_;
  std::vector<std::byte> message(header.nlmsg_len);
  std::memcpy(message.data(), &header, sizeof header);
  std::memcpy(message.data() + sizeof header, body.data(), body.size());
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  sockaddr address{};
  static_assert(sizeof kernel <= sizeof address);
  std::memcpy(&address, &kernel, sizeof kernel);
  if (::sendto(descriptor_.get(), message.data(), message.size(), 0, &address, sizeof kernel) < 0) {
    return failed("cannot send an rtnetlink request", errno);
  }
  return {};
}

Result<Socket::Progress> Socket::collect(bool is_dump, const Handler& handler) {
  bool torn = false;
  for (;;) {
    auto progress = receive(is_dump, handler);
    if (!progress) return progress;
    torn = torn || progress->torn;
    if (progress->done) return Progress{true, torn};
  }
}

// A datagram may contain several messages. Messages with another sequence number belong to an abandoned request; they
// are skipped.
Result<Socket::Progress> Socket::receive(bool is_dump, const Handler& handler) {
  ssize_t got = 0;
  do {
    got = ::recv(descriptor_.get(), buffer_.data(), buffer_.size(), MSG_TRUNC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return failed("rtnetlink did not answer", errno);
  if (static_cast<std::size_t>(got) > buffer_.size()) return failed("the answer of rtnetlink is too long", EMSGSIZE);

  Progress progress;
  Bytes bytes = Bytes(buffer_).first(static_cast<std::size_t>(got));
  while (const auto header = read<nlmsghdr>(bytes)) {
    if (header->nlmsg_len < sizeof(nlmsghdr) || header->nlmsg_len > bytes.size()) break;
    const Bytes payload = bytes.first(header->nlmsg_len).subspan(sizeof(nlmsghdr));
    bytes = bytes.subspan(std::min(padded(header->nlmsg_len), bytes.size()));
    if (header->nlmsg_seq != sequence_) continue;
    progress.torn = progress.torn || (header->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
    if (header->nlmsg_type != NLMSG_ERROR && header->nlmsg_type != NLMSG_DONE) {
      handler(header->nlmsg_type, payload);
      continue;
    }
    if (header->nlmsg_type == NLMSG_ERROR) last_error_ = -read<int>(payload).value_or(0);
    const auto ended = ends_answer(header->nlmsg_type, payload, is_dump);
    if (!ended) return tl::unexpected(ended.error());
    progress.done = progress.done || *ended;
  }
  return progress;
}

}  // namespace pollux::pci::netlink
