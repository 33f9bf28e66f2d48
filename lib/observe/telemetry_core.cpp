// SPDX-License-Identifier: BSD-3-Clause
#include "observe/telemetry_core.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

namespace pollux {

using observe::Connection;

TelemetryCore::TelemetryCore(Context& context, TelemetryOptions options, observe::Listener listener,
                             FileDescriptor epoll)
    : context_(context),
      options_(std::move(options)),
      listener_(std::move(listener)),
      epoll_(std::move(epoll)),
      ports_(context, options_.directory),
      meters_(context) {}

void TelemetryCore::join_control() {
  const std::lock_guard lock(mutex_);
  static_cast<void>(ports_.all());
  task_ = context_.state()->scheduler().add(weak_from_this(), context_.clock().now() + kInterval, {epoll_.get()});
}

Result<std::shared_ptr<TelemetryCore>> TelemetryCore::create(Context& context, TelemetryOptions options) {
  if (auto ready = observe::prepare_directory(options.directory); !ready) return pass_on(std::move(ready));
  observe::remove_stale(options.directory);
  auto listener = observe::Listener::create({options.directory, options.socket, options.mode, options.group});
  if (!listener) return pass_on(std::move(listener));
  FileDescriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLIN;
  if (!epoll || ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, listener->descriptor(), &event) != 0)
    return fail_errno(ErrorCode::io_error, "cannot watch the telemetry socket", errno);
  auto core = std::make_shared<TelemetryCore>(context, std::move(options), *std::move(listener), std::move(epoll));
  core->join_control();
  return core;
}

Result<Time> TelemetryCore::run() {
  const std::lock_guard lock(mutex_);
  if (closed_) return Time::max();
  static_cast<void>(ports_.all());
  forget_ended_captures();
  bool has_more = accept_clients();
  for (Connection& client : clients_) has_more = serve(client) || has_more;
  disconnect_finished();
  const Time now = context_.clock().now();
  if (has_more) return now;
  return now + (context_.state()->scheduler().has_event_fd() ? kIdleInterval : kInterval);
}

// The Control notices that the epoll set becomes ready, but not that it stays ready. So whatever is left in a socket
// needs another run.
bool TelemetryCore::accept_clients() {
  for (int i = 0; i < kAcceptsPerRun; ++i) {
    bool denied = false;
    FileDescriptor socket = listener_->accept(denied);
    if (!socket) return false;
    if (denied) {
      ++counts_.denied;
      continue;
    }
    Connection client(++last_client_, std::move(socket));
    if (clients_.size() + captures_.size() >= options_.max_clients || !watch(client, EPOLLIN, EPOLL_CTL_ADD)) {
      ++counts_.too_many;
      const auto busy =
          fail(ErrorCode::busy, fmt::format("the program has {} telemetry clients", clients_.size() + captures_.size()),
               "end one of them, or raise TelemetryOptions::max_clients");
      client.reply(observe::answer(nullptr, busy));
      client.flush();
      continue;
    }
    ++counts_.accepted;
    clients_.push_back(std::move(client));
    counts_.connected = clients_.size();
  }
  return true;
}

bool TelemetryCore::watch(Connection& client, unsigned events, int operation) const {
  epoll_event event{};
  event.events = events;
  return ::epoll_ctl(epoll_.get(), operation, client.descriptor(), &event) == 0;
}

bool TelemetryCore::serve(Connection& client) {
  int requests = 0;
  for (; requests < kRequestsPerRun && !client.is_too_slow(); ++requests) {
    client.receive();
    const auto line = client.next_request();
    if (!line) break;
    answer_to(*line, client);
    if (client.is_over()) return false;
    client.flush();
  }
  client.flush();
  // The epoll set says when the client takes more.
  static_cast<void>(watch(client, client.has_replies() ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD));
  return requests == kRequestsPerRun;
}

void TelemetryCore::answer_to(const std::string& line, Connection& client) {
  ++counts_.requests;
  observe::Server server{context_, options_, ports_, meters_, counts_, client.id(), nullptr};
  observe::Json id;
  Result<observe::Json> result;
  if (auto request = observe::parse_request(line, id)) {
    result = observe::execute(server, *request);
  } else {
    result = pass_on(std::move(request));
  }
  if (!result) ++counts_.errors;
  client.reply(observe::answer(id, result));
  if (server.capture != nullptr) hand_over(client, std::move(server.capture));
}

// The capture's thread writes the answer, too, so that nothing is between them.
void TelemetryCore::hand_over(Connection& client, std::unique_ptr<Capture> capture) {
  static_cast<void>(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, client.descriptor(), nullptr));
  std::string unsent;
  FileDescriptor socket = client.release(unsent);
  auto thread = CaptureThread::start(std::move(capture), socket.release(), unsent);
  if (thread) return captures_.push_back(*std::move(thread));
  context_.log(LogLevel::error, thread.error().message());
}

void TelemetryCore::forget_ended_captures() {
  std::erase_if(captures_, [this](const std::unique_ptr<CaptureThread>& capture) {
    if (capture->is_running()) return false;
    if (const auto result = capture->result(); !result) context_.log(LogLevel::warning, result.error().message());
    return true;
  });
}

void TelemetryCore::disconnect_finished() {
  std::vector<std::uint64_t> gone;
  std::erase_if(clients_, [&](const Connection& client) {
    if (client.is_too_slow()) ++counts_.too_slow;
    if (client.is_too_long()) ++counts_.too_long;
    const bool ends = client.is_over() || client.is_too_slow() || client.is_too_long();
    if (ends) gone.push_back(client.id());
    return ends;
  });
  counts_.connected = clients_.size();
  if (gone.empty()) return;
  std::vector<OpenPort> ports = open_ports(context_);
  for (const std::uint64_t client : gone) meters_.forget_client(client, ports);
}

void TelemetryCore::close() {
  context_.state()->scheduler().remove(task_);
  const std::lock_guard lock(mutex_);
  closed_ = true;
  std::vector<OpenPort> ports = open_ports(context_);
  for (const Connection& client : clients_) meters_.forget_client(client.id(), ports);
  clients_.clear();
  for (const auto& capture : captures_) capture->end();
  captures_.clear();
  listener_.reset();
  ports_.forget_all();
}

}  // namespace pollux
