// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/observe/telemetry.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <string_view>
#include <utility>

#include "mem/context_state.hpp"
#include "mem/leave_to_parent.hpp"
#include "observe/telemetry_core.hpp"

namespace pollux {
namespace {

using observe::Connection;

constexpr unsigned kMostClients = 1024;
constexpr std::string_view kNoMemory =
    R"({"id":null,"error":{"code":"no_memory","what":"the program has no memory for an answer","hint":"ask for less"}})";

bool watch(const FileDescriptor& epoll, int operation, int descriptor, unsigned events = EPOLLIN) {
  epoll_event event{};
  event.events = events;
  return ::epoll_ctl(epoll.get(), operation, descriptor, &event) == 0;
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

Result<std::shared_ptr<TelemetryCore>> TelemetryCore::create(Context& context, TelemetryOptions options) {
  auto directory = observe::OwnDirectory::open(options.directory);
  if (!directory) return pass_on(std::move(directory));
  observe::remove_stale(*directory);
  auto listener = observe::Listener::create({*directory, options.socket, options.mode, options.group});
  if (!listener) return pass_on(std::move(listener));
  auto compiler = observe::FilterCompiler::create();
  if (!compiler) return pass_on(std::move(compiler));
  FileDescriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll || !watch(epoll, EPOLL_CTL_ADD, listener->descriptor()) ||
      !watch(epoll, EPOLL_CTL_ADD, (*compiler)->event_fd())) {
    return fail_errno(ErrorCode::io_error, "cannot watch the telemetry socket", errno);
  }
  auto core = std::make_shared<TelemetryCore>(context, std::move(options), *std::move(directory), *std::move(listener),
                                              *std::move(compiler), std::move(epoll));
  const std::lock_guard lock(core->mutex_);
  static_cast<void>(core->ports_.all());
  core->task_ = context.state()->scheduler().add(core, context.clock().now() + kInterval, {core->epoll_.get()});
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
    has_more = accept_clients(end);
    has_more = serve_clients(end) || has_more;
    disconnect_finished();
  } catch (const std::bad_alloc&) {
    context_.log(LogLevel::error, "telemetry: there is no memory");
  }
  return has_more;
}

// The Control notices that the epoll set becomes ready, but not that it stays ready. So whatever is left in a socket
// needs another run.
bool TelemetryCore::accept_clients(Time end) {
  for (int i = 0; i < kAcceptsPerRun && (i == 0 || context_.clock().now() < end); ++i) {
    bool denied = false;
    PeerSocket socket = listener_->accept(denied);
    if (socket.get() < 0) return false;
    if (denied) {
      ++counts_.denied;
      continue;
    }
    const uid_t user = observe::Listener::user_of(socket);
    Connection client(++last_client_, std::move(socket), context_.clock().now(), user);
    if (!make_client_place(user) || !watch(epoll_, EPOLL_CTL_ADD, client.descriptor())) {
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

bool TelemetryCore::make_client_place(uid_t user) {
  if (clients_.size() + captures_.size() < options_.max_clients) return true;
  std::vector<observe::Place> taken;
  for (const Connection& client : clients_) taken.push_back(client.place(context_.clock().now()));
  add_places_of_captures(taken);
  if (!make_place(taken, options_.max_clients, user)) return false;
  disconnect_finished();
  return true;
}

bool TelemetryCore::make_place(const std::vector<observe::Place>& taken, std::size_t limit, uid_t user) {
  if (taken.size() < limit) return true;
  const observe::Place* const lost = observe::place_for(taken, user);
  if (lost == nullptr) return false;
  ++counts_.idle;
  if (const auto client = std::ranges::find(clients_, lost->client, &Connection::id); client != clients_.end())
    client->disconnect();
  const auto capture = std::ranges::find(captures_, lost->client, &ClientCapture::client);
  if (capture == captures_.end()) return true;
  capture->has_place = false;
  capture->thread->end(Duration(0));
  return true;
}

// Who was served goes to the end of the list, so that the others are first in the next run if this one ends: a user
// with many clients, or with new ones all the time, does not come before one who has a single client. Reading what is
// no request takes time, too. On a slow machine the time may be over before the first client has something, which is
// served nevertheless.
bool TelemetryCore::serve_clients(Time end) {
  bool has_more = false;
  std::vector<uid_t> served;
  for (std::size_t left = clients_.size(); left > 0; --left) {
    if (!served.empty() && context_.clock().now() >= end) {
      put_last(served);
      return true;
    }
    const auto client = clients_.begin();
    clients_.splice(clients_.end(), clients_, client);
    const auto answered = counts_.requests;
    const auto taken = client->taken();
    try {
      has_more = serve(*client, end) || has_more;
    } catch (const std::bad_alloc&) {
      client->disconnect();
    }
    if (counts_.requests != answered || client->taken() != taken) served.push_back(client->user());
  }
  return has_more;
}

void TelemetryCore::put_last(std::span<const uid_t> users) {
  std::list<Connection> last;
  for (auto next = clients_.begin(); next != clients_.end();) {
    const auto client = next++;
    if (std::ranges::find(users, client->user()) != users.end()) last.splice(last.end(), clients_, client);
  }
  clients_.splice(clients_.end(), last);
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
  static_cast<void>(
      watch(epoll_, EPOLL_CTL_MOD, client.descriptor(), client.has_replies() ? EPOLLIN | EPOLLOUT : EPOLLIN));
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
  for (const ClientCapture& capture : captures_) {
    if (capture.has_place) capture.thread->end();
  }
  captures_.clear();
  compiler_.reset();
  listener_.reset();
  ports_.forget_all();
}

namespace {

/// The program needs files itself, and a client that cannot be accepted gets no place of another one's.
unsigned half_of_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kMostClients;
  return static_cast<unsigned>(std::clamp<rlim_t>(limit.rlim_cur / 2, 1, kMostClients));
}

}  // namespace

Result<Telemetry> Telemetry::create(Context& context, TelemetryOptions options) {
  if (options.max_clients == 0 || options.max_clients > kMostClients) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} clients of telemetry are not 1 to {}", options.max_clients, kMostClients),
                "set TelemetryOptions::max_clients");
  }
  options.max_clients = std::min(options.max_clients, half_of_open_files());
  if (options.program.empty()) options.program = program_invocation_short_name;
  auto core = TelemetryCore::create(context, std::move(options));
  if (!core) return pass_on(std::move(core));
  return Telemetry(*std::move(core));
}

Telemetry::Telemetry(std::shared_ptr<TelemetryCore> core) : core_(std::move(core)) {}
Telemetry::Telemetry(Telemetry&&) noexcept = default;

Telemetry& Telemetry::operator=(Telemetry&& other) noexcept {
  Telemetry taken(std::move(other));  // `other` may be this object
  std::swap(core_, taken.core_);
  return *this;
}

Telemetry::~Telemetry() {
  if (core_ != nullptr && core_->is_own()) core_->close();
  if (core_ != nullptr && !core_->is_own()) leave_to_parent(core_);
}

const std::string& Telemetry::socket() const noexcept { return core_->socket(); }

}  // namespace pollux
