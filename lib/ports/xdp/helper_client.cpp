// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/helper_client.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace pollux::xdp {
namespace {

MessageWriter request_for(HelperCall call) {
  MessageWriter request;
  request.number(static_cast<std::uint32_t>(call));
  return request;
}

constexpr timeval kAnswerLimit{.tv_sec = 5, .tv_usec = 0};

Result<FileDescriptor> connect_to(const std::string& path, const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: '{}' is not the path of a socket", name, path),
                "write helper=/run/pollux-xdp.sock, or where pollux xdp-helper listens");
  }
  path.copy(address.sun_path, path.size());
  FileDescriptor connection(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  for (const int limit : {SO_SNDTIMEO, SO_RCVTIMEO}) {  // the first one of connect, too
    static_cast<void>(::setsockopt(connection.get(), SOL_SOCKET, limit, &kAnswerLimit, sizeof kAnswerLimit));
  }
  if (connection && ::connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return connection;
  }
  const int error = errno;
  if (error == EAGAIN) {
    return fail(ErrorCode::timeout, fmt::format("{}: the helper at {} accepts no connection", name, path),
                "see what pollux xdp-helper says, then open the port again");
  }
  const ErrorCode code = error == EACCES ? ErrorCode::permission_denied : ErrorCode::not_found;
  return fail_errno(code, fmt::format("{}: cannot reach the helper at {}", name, path), error,
                    "as root: pollux xdp-helper --user NAME --interface NAME");
}

}  // namespace

Result<std::unique_ptr<HelperClient>> HelperClient::open(const std::string& path, const std::string& interface,
                                                         const std::string& name) {
  auto connection = connect_to(path, name);
  if (!connection) return pass_on(std::move(connection));
  std::unique_ptr<HelperClient> client(new HelperClient(name, *std::move(connection)));
  MessageWriter request = request_for(HelperCall::open);
  request.number(kHelperVersion);
  request.text(interface);
  auto answer = client->ask(request);
  if (!answer) return pass_on(std::move(answer));
  client->interface_ = std::move(answer->facts);
  client->chains_ = (answer->number & 1) != 0;
  client->hints_ = static_cast<std::uint16_t>(answer->number >> 1);
  return client;
}

tl::unexpected<Error> HelperClient::not_known() const {
  return fail(ErrorCode::io_error, fmt::format("{}: the helper's answer is not known", name_),
              "use the helper of the same version");
}

Result<HelperClient::Answer> HelperClient::ask(const MessageWriter& request, std::size_t descriptors) {
  const std::lock_guard lock(mutex_);
  const int error = send_message(connection_.get(), request.all(), {});
  auto received = error == 0 ? receive_message(connection_.get()) : std::nullopt;
  if (!received || received->bytes.empty()) {
    const bool late = error == 0 && !received && (errno == EAGAIN || errno == EWOULDBLOCK);
    connection_ = FileDescriptor();
    return fail(late ? ErrorCode::timeout : ErrorCode::io_error,
                fmt::format("{}: the helper {}", name_, late ? "does not answer" : "has ended or refuses this process"),
                "see what pollux xdp-helper says, then open the port again");
  }
  MessageReader reader(received->bytes);
  const auto code = reader.number();
  const auto number = reader.number();
  auto what = reader.text();
  auto hint = reader.text();
  auto facts = reader.interface();
  const auto state = reader.state();
  if (code == 0U && number && what && facts && state && received->descriptors.size() >= descriptors) {
    return Answer{*number, *std::move(what), *std::move(facts), *state, std::move(received->descriptors)};
  }
  if (!code || !what || !hint || *code == 0) return not_known();
  return fail(static_cast<ErrorCode>(*code - 1), *std::move(what), *std::move(hint));
}

Result<FileDescriptor> HelperClient::ask_for_descriptor(const MessageWriter& request) {
  auto answer = ask(request, 1);
  if (!answer) return pass_on(std::move(answer));
  return std::move(answer->descriptors.front());
}

InterfaceState HelperClient::state() {
  const auto answer = ask(request_for(HelperCall::state));
  const std::lock_guard lock(mutex_);
  if (answer) {
    state_ = answer->state;
  } else {
    state_.is_known = false;
  }
  return state_;
}

Result<std::vector<FileDescriptor>> HelperClient::subscribe() {
  auto answer = ask(request_for(HelperCall::subscribe), 2);
  if (!answer) return pass_on(std::move(answer));
  return std::move(answer->descriptors);
}

Result<FileDescriptor> HelperClient::make_socket(std::optional<std::uint32_t> busy_poll, RingSlots slots) {
  MessageWriter request = request_for(HelperCall::socket);
  request.number(busy_poll.value_or(0));
  request.number(slots.rx);
  request.number(slots.tx);
  return ask_for_descriptor(request);
}

Result<FileDescriptor> HelperClient::make_counters() { return ask_for_descriptor(request_for(HelperCall::counters)); }

Result<FileDescriptor> HelperClient::load(const std::vector<PlacedRule>& rules, std::uint16_t hints, bool chains) {
  MessageWriter request = request_for(HelperCall::load);
  request.rules(rules);
  request.number(hints);
  request.number(chains ? 1 : 0);
  return ask_for_descriptor(request);
}

int HelperClient::attach(Attach where) {
  MessageWriter request = request_for(HelperCall::attach);
  request.number(static_cast<std::uint32_t>(where));
  auto answer = ask(request);
  if (!answer) return EIO;
  if (answer->number == 0 && !answer->descriptors.empty()) link_ = std::move(answer->descriptors.front());
  return static_cast<int>(answer->number);
}

Result<void> HelperClient::replace(const std::vector<PlacedRule>& rules) {
  MessageWriter request = request_for(HelperCall::replace);
  request.rules(rules);
  return ask(request).map([](const Answer&) {});
}

void HelperClient::detach() noexcept {
  link_ = FileDescriptor();
  static_cast<void>(ask(request_for(HelperCall::detach)));  // a helper that has ended has detached its part
}

Result<void> HelperClient::join(const MacAddress& mac, bool promiscuous, bool all_multicast) {
  MessageWriter request = request_for(HelperCall::join);
  request.bytes(mac);
  request.number((promiscuous ? 1U : 0U) | (all_multicast ? 2U : 0U));
  return ask(request).map([](const Answer&) {});
}

std::string HelperClient::other_program() {
  auto answer = ask(request_for(HelperCall::program));
  return answer ? answer->text : std::string();
}

std::string HelperClient::route_at_risk(const std::vector<PlacedRule>& rules) {
  MessageWriter request = request_for(HelperCall::route);
  request.rules(rules);
  auto answer = ask(request);
  return answer ? answer->text : std::string();
}

}  // namespace pollux::xdp
