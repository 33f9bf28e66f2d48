// SPDX-License-Identifier: BSD-3-Clause
#include "port.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "base/connect_socket.hpp"
#include "base/printable.hpp"
#include "net/json/json.hpp"

namespace pollux::ethtool {
namespace {

/// No answer is longer: docs/telemetry.md.
constexpr std::size_t kLongestAnswer = std::size_t{2} << 20;
/// More than any answer needs.
constexpr json::JsonLimits kAnswerLimits{.keys = 4096, .depth = 32, .values = 100'000};
/// How long an answer may take. An offline self-test, which is a change, takes some 12 seconds.
constexpr std::chrono::seconds kAskLimit{15};
constexpr std::chrono::seconds kChangeLimit{60};
/// How long all of them may take.
constexpr std::chrono::seconds kAllLimit{120};
/// How long a connection may take.
constexpr timeval kConnectLimit{15, 0};

/// What ErrorCode is in the kernel's terms.
int errno_of(std::string_view code) {
  constexpr std::array kNumbers{
      std::pair{std::string_view("invalid_argument"), EINVAL}, std::pair{std::string_view("bad_state"), ENETDOWN},
      std::pair{std::string_view("not_found"), ENODEV},        std::pair{std::string_view("not_supported"), EOPNOTSUPP},
      std::pair{std::string_view("permission_denied"), EPERM}, std::pair{std::string_view("busy"), EBUSY},
      std::pair{std::string_view("no_memory"), ENOMEM},        std::pair{std::string_view("timeout"), ETIMEDOUT},
      std::pair{std::string_view("device_removed"), ENODEV}};
  for (const auto& [name, number] : kNumbers) {
    if (name == code) return number;
  }
  return EIO;
}

int wait_for(int descriptor, short events, std::chrono::steady_clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  pollfd waiting{descriptor, events, 0};
  const int ready = left.count() <= 0 ? 0 : ::poll(&waiting, 1, static_cast<int>(left.count()));
  if (ready == 0) return ETIMEDOUT;
  return ready > 0 || errno == EINTR ? 0 : EIO;
}

}  // namespace

const Json& member(const Json& json, const char* name) {
  static const Json nothing;
  if (!json.is_object()) return nothing;
  const auto found = json.find(name);
  return found == json.end() ? nothing : *found;
}

std::uint64_t number(const Json& json) {
  return json.is_number_unsigned() || (json.is_number_integer() && json.get<std::int64_t>() >= 0)
             ? json.get<std::uint64_t>()
             : 0;
}

std::uint64_t number(const Json& json, const char* name) { return number(member(json, name)); }

bool flag(const Json& json, const char* name) { return member(json, name) == true; }

std::string text(const Json& json, const char* name) {
  const Json& found = member(json, name);
  return found.is_string() ? printable(found.get_ref<const std::string&>()) : std::string();
}

bool contains(const Json& list, std::string_view word) {
  if (!list.is_array()) return false;
  for (const Json& entry : list) {
    if (entry.is_string() && entry.get_ref<const std::string&>() == word) return true;
  }
  return false;
}

void explain(const std::string& what, const std::string& hint) {
  const std::string line = "pollux: " + what + (hint.empty() ? "" : " (" + hint + ")") + "\n";
  std::fflush(stdout);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

namespace {

/// As recv(2), but fails if there is a descriptor, which it does not take: to close one may take as long as its sender
/// likes.
ssize_t receive_bytes(int socket, std::span<char> bytes) {
  iovec data{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  const ssize_t seen = ::recvmsg(socket, &message, MSG_PEEK | MSG_DONTWAIT);
  if (seen <= 0) return seen;
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    errno = EBADMSG;
    return -1;
  }
  return ::recv(socket, bytes.data(), static_cast<std::size_t>(seen), MSG_DONTWAIT);
}

}  // namespace

Port::~Port() {
  if (descriptor_ < 0) return;
  ::shutdown(descriptor_, SHUT_RDWR);
  std::array<char, 4096> rest;
  ssize_t count = 1;
  while (count > 0) count = receive_bytes(descriptor_, rest);
  // With a descriptor in its queue it stays open until the process ends, which waits for none.
  if (count == 0) ::close(descriptor_);
}

int Port::connect() {
  if (descriptor_ >= 0) return 0;
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return errno;
  ::setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &kConnectLimit, sizeof kConnectLimit);
  uid_t owner = 0;
  if (const int error = connect_socket(descriptor, socket_, owner); error != 0) {
    ::close(descriptor);
    return error;
  }
  descriptor_ = descriptor;
  return 0;
}

int Port::send(std::string_view request, Deadline deadline) {
  while (!request.empty()) {
    const ssize_t count = ::send(descriptor_, request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) {
      request.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      if (const int error = wait_for(descriptor_, POLLOUT, deadline)) return error;
    } else if (errno != EINTR) {
      return EIO;
    }
  }
  return 0;
}

int Port::receive(std::string& line, Deadline deadline) {
  for (;;) {
    if (const auto end = received_.find('\n'); end != std::string::npos) {
      line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return 0;
    }
    if (const int error = wait_for(descriptor_, POLLIN, deadline)) return error;
    std::array<char, 16384> chunk;
    const ssize_t count = receive_bytes(descriptor_, chunk);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count <= 0 || received_.size() > kLongestAnswer) return EIO;
    received_.append(chunk.data(), static_cast<std::size_t>(count));
  }
}

int Port::exchange(const std::string& request, std::string& line, std::chrono::seconds limit) {
  using std::chrono::steady_clock;
  const Deadline begin = steady_clock::now();
  const Deadline deadline = begin + std::min<std::chrono::milliseconds>(limit, kAllLimit - waited_);
  int error = connect();
  if (error == 0) error = send(request, deadline);
  if (error == 0) error = receive(line, deadline);
  waited_ += std::chrono::ceil<std::chrono::milliseconds>(steady_clock::now() - begin);
  return error;
}

int Port::call(const char* method, Json params, Json& result, Call how) {
  // An answer that comes late would be taken for that of the next request, which would wait as long for nothing.
  if (failure_ != 0) return failure_;
  params["port"] = name_;
  const Json request{{"id", 1}, {"method", method}, {"params", std::move(params)}};
  std::string line;
  failure_ = exchange(request.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n', line,
                      how == Call::asks ? kAskLimit : kChangeLimit);
  if (failure_ != 0) {
    explain("the program of " + name_ + " does not answer on " + socket_, "see whether it is stopped or has ended");
    return failure_;
  }
  Json answer = json::parse_bounded(line, kAnswerLimits);
  if (answer.is_object() && answer.contains("result")) {
    result = std::move(answer["result"]);
    return 0;
  }
  const Json& error = member(answer, "error");
  const int number = errno_of(text(error, "code"));
  if (how == Call::changes || number != EOPNOTSUPP) explain(text(error, "what"), text(error, "hint"));
  return number;
}

int Port::ask(const char* method, Json& result, Json params) {
  return call(method, std::move(params), result, Call::asks);
}

int Port::settings(Json& settings, Json* tag) {
  Json answer;
  if (const int error = ask("port.settings", answer)) return error;
  settings = member(answer, "settings");
  if (tag != nullptr) *tag = member(answer, "tag");
  return settings.is_object() ? 0 : EIO;
}

int Port::change(const char* method, Json params) {
  Json nothing;
  return call(method, std::move(params), nothing, Call::changes);
}

int Port::change(const char* method, Json params, Json& result) {
  return call(method, std::move(params), result, Call::changes);
}

}  // namespace pollux::ethtool
