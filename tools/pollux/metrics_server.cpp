// SPDX-License-Identifier: BSD-3-Clause
#include "metrics_server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "open_files.hpp"

namespace pollux::tool {
namespace {

/// As many as the kernel lets wait (net.core.somaxconn): beyond that it drops a client's request to connect, which the
/// client repeats after a second.
constexpr int kUnacceptedClients = std::numeric_limits<int>::max();
/// Clients that are accepted before others get the next part of their answer.
constexpr int kAcceptedAtOnce = 32;
/// Bytes of an answer that the kernel keeps for a client, in memory that takes twice as much; more for one that has
/// taken more than the kernel takes for a client that reads nothing.
constexpr int kKept = 16 << 10;
constexpr int kKeptOfReader = 128 << 10;
constexpr std::size_t kUnread = 192 << 10;
constexpr Duration kMaxWait = std::chrono::milliseconds(100);

/// The address of a text that `listen_address` has returned; `size` becomes its size.
sockaddr_storage parse(const std::string& text, socklen_t& size) {
  sockaddr_storage address{};
  const std::size_t colon = text.rfind(':');
  const std::uint16_t port = htons(static_cast<std::uint16_t>(std::stoi(text.substr(colon + 1))));
  if (text.front() == '[') {
    auto& six = reinterpret_cast<sockaddr_in6&>(address);
    six.sin6_family = AF_INET6;
    six.sin6_port = port;
    ::inet_pton(AF_INET6, text.substr(1, colon - 2).c_str(), &six.sin6_addr);
    size = sizeof six;
  } else {
    auto& four = reinterpret_cast<sockaddr_in&>(address);
    four.sin_family = AF_INET;
    four.sin_port = port;
    ::inet_pton(AF_INET, text.substr(0, colon).c_str(), &four.sin_addr);
    size = sizeof four;
  }
  return address;
}

bool is_loopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET6) {
    const in6_addr& six = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    const bool is_mapped_loopback = IN6_IS_ADDR_V4MAPPED(&six) != 0 && six.s6_addr[12] == IN_LOOPBACKNET;
    return is_mapped_loopback || IN6_IS_ADDR_LOOPBACK(&six) != 0;
  }
  return ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

/// Whether the request, or as much of it as has come, ends with an empty line.
bool is_whole(std::string_view request) {
  return request.find("\r\n\r\n") != std::string_view::npos || request.find("\n\n") != std::string_view::npos;
}

/// The first words of the request: its method and its path, without a query.
std::pair<std::string_view, std::string_view> parts_of(std::string_view request) {
  const std::string_view line = request.substr(0, request.find_first_of("\r\n"));
  const std::size_t method = std::min(line.find(' '), line.size());
  const std::string_view rest = line.substr(std::min(method + 1, line.size()));
  return {line.substr(0, method), rest.substr(0, rest.find_first_of(" ?"))};
}

bool is_same_word(std::string_view one, std::string_view other) {
  return one.size() == other.size() && ::strncasecmp(one.data(), other.data(), one.size()) == 0;
}

/// The host of the value of a field `Host`, without the port, and without the brackets of an IPv6 address.
std::string_view host_of(std::string_view value) {
  value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
  value = value.substr(0, value.find_last_not_of(" \t\r") + 1);
  if (value.starts_with('[')) return value.substr(1, value.find(']') - 1);
  return value.substr(0, value.rfind(':'));
}

/// Whether nobody but this machine can have given the host its address: it is `localhost`, or an address itself.
bool is_of_this_machine(std::string_view host) {
  constexpr std::string_view kLocal = "localhost";
  constexpr std::string_view kBelowLocal = ".localhost";  // RFC 6761, 6.3
  in6_addr address{};
  const std::string text(host);
  return is_same_word(host, kLocal) || ::inet_pton(AF_INET, text.c_str(), &address) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), &address) == 1 ||
         (host.size() > kBelowLocal.size() && is_same_word(host.substr(host.size() - kBelowLocal.size()), kBelowLocal));
}

/// Whether the request names another host than this machine: a browser sends the name that its page has, and who owns
/// that name may tell the browser that it is 127.0.0.1 (DNS rebinding). What names no host comes from no browser.
bool is_for_another_host(std::string_view request) {
  while (!request.empty()) {
    const std::size_t end = std::min(request.find('\n'), request.size() - 1);
    const std::string_view line = request.substr(0, end);
    request.remove_prefix(end + 1);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_same_word(line.substr(0, colon), "host")) continue;
    if (const std::string_view host = host_of(line.substr(colon + 1)); !host.empty() && !is_of_this_machine(host))
      return true;
  }
  return false;
}

template <typename T>
bool set_option(const FileDescriptor& socket, int option, const T& value) {
  return ::setsockopt(socket.get(), SOL_SOCKET, option, &value, sizeof value) == 0;
}

}  // namespace

Result<MetricsServer> MetricsServer::create(const std::string& address, Clock& clock,
                                            std::function<std::string()> make_text) {
  socklen_t size = 0;
  const sockaddr_storage parsed = parse(address, size);
  FileDescriptor listener(::socket(parsed.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  constexpr int kOn = 1;
  // What a client has not taken is dropped when it loses its place: the kernel would go on offering it.
  constexpr linger kDrop{.l_onoff = 1, .l_linger = 0};
  // The sockets of clients get these options from the listener.
  if (listener && set_option(listener, SO_REUSEADDR, kOn) && set_option(listener, SO_SNDBUF, kKept) &&
      set_option(listener, SO_LINGER, kDrop) &&
      ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&parsed), size) == 0 &&
      ::listen(listener.get(), kUnacceptedClients) == 0) {
    return MetricsServer(std::move(listener), is_loopback(parsed), clock, std::move(make_text));
  }
  return fail_errno(ErrorCode::io_error, fmt::format("cannot serve {}", address), errno,
                    "give an address of this machine and a free port, such as --listen 127.0.0.1:9877; ports below "
                    "1024 need root");
}

MetricsServer::MetricsServer(FileDescriptor listener, bool is_local, Clock& clock,
                             std::function<std::string()> make_text)
    : listener_(std::move(listener)), is_local_(is_local), clock_(clock), make_text_(std::move(make_text)) {
  const rlim_t limit = allow_open_files(kOwnFiles + kMost);
  most_ = std::min<std::size_t>(kMost, limit > 2 * kOwnFiles ? limit - kOwnFiles : limit / 2);
}

Result<void> MetricsServer::serve(const std::function<bool()>& stopped) {
  std::vector<pollfd> waiting;
  bool accepts = true;
  while (!stopped()) {
    waiting.assign(1, {accepts ? listener_.get() : -1, POLLIN, 0});
    for (const Client& client : clients_)
      waiting.push_back({client.socket.get(), static_cast<short>(client.state == State::sends ? POLLOUT : POLLIN), 0});
    if (auto waited = clock_.wait(waiting, clock_.now() + kMaxWait); !waited) return pass_on(std::move(waited));
    auto ready = waiting.begin();
    for (Client& client : clients_) {
      if ((++ready)->revents != 0) work(client);
    }
    accepts = waiting.front().revents == 0 || accept_clients();
    answer_waiting();
    end_silent();
  }
  return {};
}

bool MetricsServer::accept_clients() {
  for (int i = 0; i < kAcceptedAtOnce; ++i) {
    FileDescriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return errno == EAGAIN || errno == ECONNABORTED;
    make_place();
    clients_.push_back({.socket = std::move(socket), .active = clock_.now()});
    work(clients_.back());  // most have sent their request
  }
  return true;
}

void MetricsServer::make_place() {
  if (clients_.size() < most_) return;
  // Those that have not asked have a half of the places, so that however many connect, an answer is sent to its end.
  const auto has_asked = [](const Client& client) { return client.state != State::reads; };
  const bool keeps_asked = 2 * static_cast<std::size_t>(std::ranges::count_if(clients_, has_asked)) <= clients_.size();
  clients_.erase(std::ranges::min_element(
      clients_, {}, [&](const Client& client) { return std::pair(has_asked(client) == keeps_asked, client.active); }));
}

void MetricsServer::work(Client& client) const { client.state == State::sends ? send(client) : receive(client); }

// After the answer the client's end is waited for, and what it sends until then is read: the kernel drops the rest of
// an answer to somebody whose bytes are not.
void MetricsServer::receive(Client& client) const {
  std::array<char, 4096> chunk;
  const ssize_t count = ::recv(client.socket.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
  if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) client.state = State::over;
  if (count <= 0 || client.state != State::reads) return;
  client.request.append(chunk.data(), static_cast<std::size_t>(count));
  if (client.request.size() > kLongestRequest) return answer(client, "431 Request Header Fields Too Large", 0, nullptr);
  if (!is_whole(client.request)) return;
  if (is_local_ && is_for_another_host(client.request)) {
    static const Text why = std::make_shared<const std::string>(
        "This exporter is for its own machine. A proxy has to ask for the host localhost.\n");
    return answer(client, "421 Misdirected Request", why->size(), why);
  }
  const auto [method, path] = parts_of(client.request);
  if (path != "/metrics") return answer(client, "404 Not Found", 0, nullptr);
  if (method == "HEAD") return answer(client, "200 OK", std::string::npos, nullptr);
  if (method != "GET") return answer(client, "405 Method Not Allowed", 0, nullptr);
  client.state = State::waits;
}

// The length of what is not sent may be left out: RFC 9110, 9.3.2.
void MetricsServer::answer(Client& client, std::string_view status, std::size_t length, Text body) const {
  client.head = fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nConnection: close\r\n", status);
  if (length != std::string::npos) client.head += fmt::format("Content-Length: {}\r\n", length);
  client.head += "\r\n";
  client.body = body != nullptr ? std::move(body) : std::make_shared<const std::string>();
  client.active = clock_.now();
  client.state = State::sends;
  send(client);
}

void MetricsServer::send(Client& client) const {
  const std::string& head = client.head;
  const std::string& body = *client.body;
  const std::size_t of_head = std::min(client.sent, head.size());
  const std::size_t of_body = client.sent - of_head;
  std::array<iovec, 2> parts{iovec{const_cast<char*>(head.data()) + of_head, head.size() - of_head},
                             iovec{const_cast<char*>(body.data()) + of_body, body.size() - of_body}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  const ssize_t count = ::sendmsg(client.socket.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count < 0 && errno != EAGAIN && errno != EINTR) client.state = State::over;
  if (count <= 0) return;
  const std::size_t before = std::exchange(client.sent, client.sent + static_cast<std::size_t>(count));
  if (before <= kUnread && client.sent > kUnread) set_option(client.socket, SO_SNDBUF, kKeptOfReader);
  client.active = clock_.now();
  if (client.sent < head.size() + body.size()) return;
  ::shutdown(client.socket.get(), SHUT_WR);
  client.state = State::drains;
}

void MetricsServer::answer_waiting() {
  if (std::ranges::none_of(clients_, [](const Client& client) { return client.state == State::waits; })) return;
  if (text_ == nullptr || clock_.now() - made_ > kFresh) {
    text_ = std::make_shared<const std::string>(make_text_());
    made_ = clock_.now();
  }
  for (Client& client : clients_) {
    if (client.state == State::waits) answer(client, "200 OK", text_->size(), text_);
  }
}

void MetricsServer::end_silent() {
  const Time now = clock_.now();
  clients_.remove_if(
      [now](const Client& client) { return client.state == State::over || now - client.active > kPatience; });
}

}  // namespace pollux::tool
