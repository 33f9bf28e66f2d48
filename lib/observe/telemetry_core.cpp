// SPDX-License-Identifier: BSD-3-Clause
#include "observe/telemetry_core.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace pollux {

using observe::Connection;

namespace {

constexpr std::string_view kNoMemory =
    R"({"id":null,"error":{"code":"no_memory","what":"the program has no memory for an answer","hint":"ask for less"}})";

bool watch_for_reading(int epoll, int descriptor) {
  epoll_event event{};
  event.events = EPOLLIN;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

}  // namespace

TelemetryCore::TelemetryCore(Context& context, TelemetryOptions options, observe::OwnDirectory directory,
                             observe::Listener listener, std::unique_ptr<observe::FilterCompiler> compiler,
                             FileDescriptor epoll)
    : context_(context),
      options_(std::move(options)),
      listener_(std::move(listener)),
      compiler_(std::move(compiler)),
      epoll_(std::move(epoll)),
      ports_(context, std::move(directory)),
      meters_(context) {}

void TelemetryCore::join_control() {
  const std::lock_guard lock(mutex_);
  static_cast<void>(ports_.all());
  task_ = context_.state()->scheduler().add(weak_from_this(), context_.clock().now() + kInterval, {epoll_.get()});
}

Result<std::shared_ptr<TelemetryCore>> TelemetryCore::create(Context& context, TelemetryOptions options) {
  auto directory = observe::OwnDirectory::open(options.directory);
  if (!directory) return pass_on(std::move(directory));
  observe::remove_stale(*directory);
  auto listener = observe::Listener::create({*directory, options.socket, options.mode, options.group});
  if (!listener) return pass_on(std::move(listener));
  auto compiler = observe::FilterCompiler::create();
  if (!compiler) return pass_on(std::move(compiler));
  FileDescriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll || !watch_for_reading(epoll.get(), listener->descriptor()) ||
      !watch_for_reading(epoll.get(), (*compiler)->event_fd())) {
    return fail_errno(ErrorCode::io_error, "cannot watch the telemetry socket", errno);
  }
  auto core = std::make_shared<TelemetryCore>(context, std::move(options), *std::move(directory), *std::move(listener),
                                              *std::move(compiler), std::move(epoll));
  core->join_control();
  return core;
}

Result<Time> TelemetryCore::run() {
  const std::lock_guard lock(mutex_);
  if (closed_) return Time::max();
  const Time begin = context_.clock().now();
  if (begin < rests_until_) return rests_until_;
  const bool has_more = work(begin + kMaxRun);
  const Time end = context_.clock().now();
  rests_until_ = end + std::min<Duration>((end - begin) * kRest, kMaxRest);
  if (has_more) return rests_until_;
  return std::max(rests_until_, end + (context_.state()->scheduler().has_event_fd() ? kIdleInterval : kInterval));
}

// Where memory is lacking, what is not done now is done in a later run.
bool TelemetryCore::work(Time end) {
  bool has_more = false;
  try {
    static_cast<void>(ports_.all());
    forget_ended_captures();
    begin_compiled_captures();
    has_more = accept_clients();
    has_more = serve_clients(end) || has_more;
    disconnect_finished();
  } catch (const std::bad_alloc&) {
    context_.log(LogLevel::error, "telemetry: there is no memory");
  }
  return has_more;
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
    const Time now = context_.clock().now();
    Connection client(++last_client_, std::move(socket), now);
    if (!make_place(now) || !watch(client, EPOLLIN, EPOLL_CTL_ADD)) {
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

bool TelemetryCore::make_place(Time now) {
  if (clients_.size() + captures_.size() < options_.max_clients) return true;
  const auto idle = std::ranges::min_element(clients_, {}, &Connection::active);
  if (idle == clients_.end() || now - idle->active() < kIdleTime) return false;
  ++counts_.idle;
  idle->disconnect();
  disconnect_finished();
  return true;
}

bool TelemetryCore::watch(Connection& client, unsigned events, int operation) const {
  epoll_event event{};
  event.events = events;
  return ::epoll_ctl(epoll_.get(), operation, client.descriptor(), &event) == 0;
}

// Who was served goes to the end of the list, so that the others are first in the next run if this one ends.
bool TelemetryCore::serve_clients(Time end) {
  bool has_more = false;
  for (std::size_t left = clients_.size(); left > 0; --left) {
    if (context_.clock().now() >= end) return true;
    const auto client = clients_.begin();
    clients_.splice(clients_.end(), clients_, client);
    try {
      has_more = serve(*client, end) || has_more;
    } catch (const std::bad_alloc&) {
      client->disconnect();
    }
  }
  return has_more;
}

bool TelemetryCore::serve(Connection& client, Time end) {
  int requests = 0;
  bool has_time = true;
  for (; requests < kRequestsPerRun && has_time && !client.is_too_slow(); ++requests) {
    if (client.waits()) break;
    client.receive();
    const auto line = client.next_request();
    if (!line) break;
    client.set_active(context_.clock().now());
    answer_to(*line, client);
    if (client.is_over()) return false;
    client.flush();
    has_time = context_.clock().now() < end;
  }
  client.flush();
  // The epoll set says when the client takes more.
  static_cast<void>(watch(client, client.has_replies() ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD));
  return requests == kRequestsPerRun || !has_time;
}

void TelemetryCore::answer_to(const std::string& line, Connection& client) {
  ++counts_.requests;
  observe::Server server{context_, options_, ports_, meters_, counts_, client.id(), {}};
  try {
    observe::Json id;
    auto request = observe::parse_request(line, id);
    Result<observe::Json> result =
        request ? observe::execute(server, *request) : Result<observe::Json>(pass_on(std::move(request)));
    if (!result) ++counts_.errors;
    if (result && server.capture) {
      prepare_capture(client, {std::move(id), *std::move(server.capture)});
    } else {
      client.reply(observe::answer(id, result));
    }
  } catch (const std::bad_alloc&) {
    ++counts_.errors;
    client.reply(kNoMemory);
  }
}

// A filter takes some time to translate. The client's other requests wait meanwhile.
void TelemetryCore::prepare_capture(Connection& client, Waiting waiting) {
  if (captures_.size() + waiting_.size() >= kMaxCaptures) {
    const auto busy =
        fail(ErrorCode::busy, fmt::format("the program has {} captures", kMaxCaptures), "end one of them");
    ++counts_.errors;
    return client.reply(observe::answer(waiting.id, busy));
  }
  if (waiting.request.options.filter.empty()) return begin_capture(client, std::move(waiting), observe::FrameFilter());
  const auto entry = waiting_.emplace(client.id(), std::move(waiting)).first;
  try {
    compiler_->add(client.id(), entry->second.request.options.filter, entry->second.request.port);
  } catch (const std::bad_alloc&) {
    waiting_.erase(entry);
    throw;
  }
  client.set_waits(true);
}

void TelemetryCore::begin_compiled_captures() {
  while (auto compiled = compiler_->take()) {
    const auto client = std::ranges::find(clients_, compiled->client, &Connection::id);
    auto waiting = waiting_.extract(compiled->client);
    if (client == clients_.end() || waiting.empty()) continue;
    client->set_waits(false);
    try {
      begin_capture(*client, std::move(waiting.mapped()), std::move(compiled->filter));
    } catch (const std::bad_alloc&) {
      client->disconnect();
    }
  }
}

void TelemetryCore::begin_capture(Connection& client, Waiting waiting, Result<observe::FrameFilter> filter) {
  observe::Server server{context_, options_, ports_, meters_, counts_, client.id(), {}};
  Result<std::unique_ptr<Capture>> capture =
      filter ? observe::begin_capture(server, waiting.request, *std::move(filter)) : pass_on(std::move(filter));
  if (!capture) {
    ++counts_.errors;
    return client.reply(observe::answer(waiting.id, pass_on(std::move(capture))));
  }
  client.reply(
      observe::answer(waiting.id, observe::Json{{"name", waiting.request.port}, {"uri", waiting.request.uri}}));
  hand_over(client, *std::move(capture));
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
  for (const std::uint64_t client : gone) {
    meters_.forget_client(client, ports);
    compiler_->forget(client);
    waiting_.erase(client);
  }
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
  compiler_.reset();
  listener_.reset();
  ports_.forget_all();
}

}  // namespace pollux
