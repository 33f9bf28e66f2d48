// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/connect_socket.hpp"
#include "net/handover/device_record.hpp"
#include "net/handover/port_handover.hpp"
#include "pollux/net/handover.hpp"

namespace pollux {
namespace handover {
namespace {

/// For each answer. The other program may be about to end a burst, or be busy with other ports.
constexpr timeval kAnswerLimit{.tv_sec = 5, .tv_usec = 0};

Json message(const char* kind) { return {{"message", kind}, {"version", kVersion}}; }

}  // namespace

void Inheritance::begin(FileDescriptor connection, FileDescriptor listener, std::string socket,
                        std::vector<std::shared_ptr<TakenPort>> ports) {
  connection_ = std::move(connection);
  listener_ = std::move(listener);
  socket_ = std::move(socket);
  ports_ = std::move(ports);
  frozen_ = false;
}

std::shared_ptr<TakenPort> Inheritance::find(std::string_view driver,
                                             const std::function<bool(const PortRecord&)>& fits) const {
  const auto found = std::ranges::find_if(
      ports_, [&](const auto& port) { return !port->started && port->record.driver == driver && fits(port->record); });
  return found == ports_.end() ? nullptr : *found;
}

Result<void> Inheritance::freeze() {
  if (frozen_) return {};
  frozen_at_ = SteadyClock().now();
  if (auto asked = send(connection_.get(), message("freeze")); !asked) return asked;
  if (auto received = receive_queues(); !received) return received;
  frozen_ = true;
  return {};
}

Result<void> Inheritance::receive_queues() {
  for (const auto& port : ports_) {
    port->queues.clear();
    const auto count = number(port->record.details, "queues", kMaxDescriptors);
    if (!count) return tl::unexpected<Error>(count.error());
    for (std::uint64_t queue = 0; queue < *count; ++queue) {
      auto received = receive(connection_.get(), "queue");
      if (!received) return pass_on(std::move(received));
      auto record = read_queue(received->json);
      if (!record) return pass_on(std::move(record));
      port->queues.push_back(*std::move(record));
    }
  }
  auto end = receive(connection_.get(), "frozen");
  return end ? Result<void>() : pass_on(std::move(end));
}

// Once the message is in the other end's queue, that program gives its ports up: it looks there before it goes on.
Result<Duration> Inheritance::finish() {
  const auto missing = std::ranges::find(ports_, false, [](const auto& port) { return port->started; });
  if (!connection_) return fail(ErrorCode::bad_state, "there is no handover to finish", "call Takeover::begin first");
  if (missing != ports_.end()) {
    return fail(ErrorCode::bad_state,
                fmt::format("{} of the other program was not started here", (*missing)->record.name),
                "open and start each port of the other program, with the same URI");
  }
  if (auto told = send(connection_.get(), message("taken")); !told) return pass_on(std::move(told));
  connection_ = FileDescriptor();
  Result<void> done;
  for (const auto& port : std::exchange(ports_, {})) {
    port->committed = true;
    auto goes_on = port->continue_with ? port->continue_with() : Result<void>();
    if (done) done = std::move(goes_on);
  }
  return done ? Result<Duration>(SteadyClock().now() - frozen_at_) : pass_on(std::move(done));
}

void Inheritance::give_up() noexcept {
  if (!connection_) return;
  connection_ = FileDescriptor();
  listener_ = FileDescriptor();
  ports_.clear();
}

FileDescriptor Inheritance::take_listener(const std::string& socket) noexcept {
  return connection_ || socket != socket_ ? FileDescriptor() : std::move(listener_);
}

namespace {

Result<FileDescriptor> connect_to(const std::string& path) {
  FileDescriptor connection(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!connection) return fail_errno(ErrorCode::io_error, "cannot make a socket for a handover", errno);
  for (const int limit : {SO_SNDTIMEO, SO_RCVTIMEO})  // the first one of connect, too
    static_cast<void>(::setsockopt(connection.get(), SOL_SOCKET, limit, &kAnswerLimit, sizeof kAnswerLimit));
  uid_t owner = 0;
  const int error = connect_socket(connection.get(), path, owner);
  if (error == ENOENT || error == ECONNREFUSED) return FileDescriptor();
  if (error == EACCES)
    return fail_errno(ErrorCode::permission_denied, "cannot connect to " + path, error, "run as the user who listens");
  if (error != 0) return fail_errno(ErrorCode::io_error, "cannot connect to " + path, error);
  if (is_trusted(connection.get())) return connection;
  return fail(ErrorCode::permission_denied, fmt::format("a program of another user listens at {}", path),
              "choose a path in a directory that others may not write to");
}

/// Asks for what there is, and reads it.
Result<void> ask(Inheritance& inheritance, TakenDevices& devices, FileDescriptor connection, const std::string& path) {
  // If that fails, the other end may have said why before it has closed the connection.
  static_cast<void>(send(connection.get(), message("hello")));
  auto program = receive(connection.get(), "program");
  if (!program) return pass_on(std::move(program));
  const auto version = number(program->json, "version", ~std::uint64_t{0});
  if (!version) return tl::unexpected<Error>(version.error());
  if (*version != kVersion) {
    return fail(ErrorCode::not_supported,
                fmt::format("the program at {} has handovers of version {}, and this one of version {}", path, *version,
                            kVersion),
                "end it, then start this one");
  }
  const auto count = number(program->json, "ports", kMaxPorts);
  if (!count) return tl::unexpected<Error>(count.error());
  if (program->descriptors.size() != 1) return malformed("there is no listening socket");
  std::vector<std::shared_ptr<TakenPort>> ports;
  devices.clear();
  for (std::uint64_t i = 0; i < *count; ++i) {
    auto received = receive(connection.get(), "port");
    if (!received) return pass_on(std::move(received));
    auto record = read_port(std::move(received->json), std::move(received->descriptors));
    if (!record) return pass_on(std::move(record));
    auto device = read_device(*record);
    if (!device) return pass_on(std::move(device));
    if (*device) devices.add(**std::move(device));
    ports.push_back(std::make_shared<TakenPort>());
    ports.back()->record = *std::move(record);
  }
  inheritance.begin(std::move(connection), std::move(program->descriptors.front()), path, std::move(ports));
  return {};
}

}  // namespace
}  // namespace handover

Takeover::Takeover(std::shared_ptr<ContextState> context) : context_(std::move(context)) {}
Takeover::Takeover(Takeover&&) noexcept = default;
Takeover& Takeover::operator=(Takeover&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}

Takeover::~Takeover() {
  if (context_ == nullptr || !context_->is_own()) return;
  handover::inheritance(*context_).give_up();
  taken_devices(*context_).clear();
}

Result<std::optional<Takeover>> Takeover::begin(Context& context, const std::string& socket) {
  auto& inheritance = handover::inheritance(*context.state());
  if (inheritance.has_begun())
    return fail(ErrorCode::bad_state, "the Context takes over already", "finish or destroy that Takeover first");
  auto connection = handover::connect_to(socket);
  if (!connection) return pass_on(std::move(connection));
  if (!*connection) return std::optional<Takeover>();
  if (auto asked = handover::ask(inheritance, taken_devices(*context.state()), *std::move(connection), socket); !asked)
    return pass_on(std::move(asked));
  return std::optional<Takeover>(Takeover(context.state()));
}

Result<void> Takeover::finish() {
  if (context_ == nullptr) return fail(ErrorCode::bad_state, "this Takeover was moved from");
  const auto stood = handover::inheritance(*context_).finish();
  if (!stood) return tl::unexpected<Error>(stood.error());
  taken_devices(*context_).clear();
  context_->log(LogLevel::info, fmt::format("took the ports over; their queues stood still for {:.0f} us",
                                            std::chrono::duration<double, std::micro>(*stood).count()));
  return {};
}

}  // namespace pollux
