// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <utility>

#include "base/peer_socket.hpp"
#include "base/socket_file.hpp"
#include "net/handover/port_handover.hpp"
#include "net/port_core.hpp"
#include "pollux/net/handover.hpp"

namespace pollux {

/// The end of the program whose ports are taken over: a task of the Context's Control.
class HandoverCore final : public ControlTask {
 public:
  /// Between two runs, without a successor and with one.
  static constexpr Duration kInterval = std::chrono::milliseconds(20);
  static constexpr Duration kFastInterval = std::chrono::milliseconds(1);
  /// How long a successor may prepare itself.
  static constexpr Duration kPrepareLimit = std::chrono::seconds(30);
  /// How long the program may take for what was received, and between two looks.
  static constexpr Duration kDrainLimit = std::chrono::milliseconds(100);
  static constexpr Duration kDrainInterval = std::chrono::microseconds(50);
  /// How long the queues stand still for it.
  static constexpr int kTakenLimit = 1000;  // ms

  HandoverCore(Context& context, FileDescriptor listener, std::string path)
      : context_(context), listener_(std::move(listener)), path_(std::move(path)), file_(identity_of(path_)) {}

  void join(const std::shared_ptr<HandoverCore>& self) {
    task_ = context_.state()->scheduler().add(self, context_.clock().now(), {});
  }
  [[nodiscard]] Result<Time> run() override;
  [[nodiscard]] bool is_done() const noexcept { return done_.load(std::memory_order_acquire); }
  [[nodiscard]] bool is_own() const { return context_.state()->is_own(); }
  void close();

 private:
  using Cores = std::vector<std::shared_ptr<PortCore>>;

  void accept_one();
  void serve();
  /// The next message of the successor; empty if there is none. Without a "message" if it is none of these.
  [[nodiscard]] std::optional<handover::Json> next_message();
  void drop_client(std::string_view why);
  /// The ports that were offered go on.
  void take_back();
  void refuse(int socket, const Error& why) {
    static_cast<void>(handover::send(socket, handover::refusal(why)));
    context_.log(LogLevel::warning, fmt::format("a handover is refused: {}", why.message()));
  }
  [[nodiscard]] Result<void> describe();
  void advance();
  [[nodiscard]] Result<bool> drain();
  [[nodiscard]] Result<void> give();
  [[nodiscard]] Result<void> send_queues(const Cores& ports);
  [[nodiscard]] bool is_taken();
  [[nodiscard]] bool has_client();

  Context& context_;
  ControlScheduler::TaskId task_ = 0;
  std::mutex mutex_;  // held by run and close
  FileDescriptor listener_;
  std::string path_;
  SocketIdentity file_;
  PeerSocket client_;
  Time client_since_{};
  Cores offered_;
  std::optional<Time> draining_since_;
  std::atomic<bool> done_{false};
};

namespace {

constexpr const char* kPathHint = "choose a path in a directory that belongs to the user and has no other writers";

Result<FileDescriptor> listen_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not the path of a socket for handovers", path),
                fmt::format("use one of at most {} bytes", sizeof address.sun_path - 1));
  }
  path.copy(&address.sun_path[0], path.size());
  const auto directory = open_directory_of(path, kPathHint);
  if (!directory) return tl::unexpected<Error>(directory.error());
  FileDescriptor listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  static_cast<void>(remove_unused_socket(path, SOCK_SEQPACKET));
  // Before it has a name, so that nobody else can connect for a moment.
  if (listener) static_cast<void>(::fchmod(listener.get(), 0600));
  if (listener && ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::listen(listener.get(), 4) == 0) {
    return listener;
  }
  const int error = errno;
  return fail_errno(
      error == EADDRINUSE ? ErrorCode::busy : ErrorCode::io_error, "cannot listen at " + path, error,
      error == EADDRINUSE ? "another program offers its ports there: take them over, or end it" : kPathHint);
}

}  // namespace

void HandoverCore::close() {
  const std::lock_guard lock(mutex_);
  context_.state()->scheduler().remove(task_);
  client_ = {};
  take_back();
  if (listener_ && !is_done()) remove_socket(path_, file_);
  if (!is_done()) close_listener(std::move(listener_));
}

Result<Time> HandoverCore::run() {
  const std::lock_guard lock(mutex_);
  if (is_done()) return Time::max();
  accept_one();
  if (draining_since_) {
    advance();
  } else if (client_.get() >= 0) {
    serve();
  }
  if (draining_since_) return context_.clock().now() + kDrainInterval;
  return context_.clock().now() + (client_.get() >= 0 ? kFastInterval : kInterval);
}

// One that has ended, and whose last messages nobody has read yet, is none.
bool HandoverCore::has_client() {
  if (client_.get() < 0) return false;
  pollfd ended{client_.get(), POLLRDHUP, 0};
  if (::poll(&ended, 1, 0) > 0) drop_client("the new program has ended");
  return client_.get() >= 0;
}

void HandoverCore::accept_one() {
  PeerSocket next(FileDescriptor(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  if (next.get() < 0) return;
  // A message is sent while others wait for this thread.
  const timeval limit{.tv_sec = 0, .tv_usec = 200'000};
  static_cast<void>(::setsockopt(next.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit));
  if (!handover::is_trusted(next.get())) {
    return refuse(next.get(), {ErrorCode::permission_denied, "ports are handed over to programs of the same user alone",
                               "run the new program as the user of the old one"});
  }
  if (has_client()) {
    return refuse(next.get(),
                  {ErrorCode::busy, "another program takes the ports over", "wait until it has, or end it"});
  }
  client_ = std::move(next);
  client_since_ = context_.clock().now();
}

std::optional<handover::Json> HandoverCore::next_message() {
  std::array<std::byte, 512> bytes;
  const ssize_t count = client_.receive(bytes);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return std::nullopt;
  if (count <= 0) return handover::Json{{"message", "end"}};
  auto json = handover::parse({reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(count)});
  return json ? *std::move(json) : handover::Json{{"message", "garbage"}};
}

void HandoverCore::take_back() {
  draining_since_.reset();
  for (const auto& core : std::exchange(offered_, {})) {
    const auto lock = core->lock();
    if (!core->is_retired()) core->machine().thaw_handover();
  }
}

void HandoverCore::drop_client(std::string_view why) {
  client_ = {};
  take_back();
  context_.log(LogLevel::warning, fmt::format("a handover has ended, and the ports go on: {}", why));
}

void HandoverCore::serve() {
  const auto message = next_message();
  if (!message) {
    if (context_.clock().now() > client_since_ + kPrepareLimit) drop_client("the new program took too long");
    return;
  }
  const handover::Json& kind = (*message)["message"];
  Result<void> done;
  if (kind == "hello" && offered_.empty()) {
    done = describe();
  } else if (kind == "freeze" && !offered_.empty()) {
    draining_since_ = context_.clock().now();
    return advance();
  } else {
    return drop_client(kind == "end" ? "the new program has ended" : "it has sent something else than a message");
  }
  if (done) return;
  refuse(client_.get(), done.error());
  drop_client("it was refused");
}

// The program goes on meanwhile, so that it forwards what its ports have received.
void HandoverCore::advance() {
  const auto drained = drain();
  if (drained && !*drained && context_.clock().now() < *draining_since_ + kDrainLimit) return;
  draining_since_.reset();
  Result<void> done = !drained   ? Result<void>(tl::unexpected<Error>(drained.error()))
                      : *drained ? give()
                                 : fail(ErrorCode::timeout, "the program does not receive what its ports have received",
                                        "poll all receive queues of the old program");
  if (done) return;
  refuse(client_.get(), done.error());
  drop_client("it was refused");
}

Result<bool> HandoverCore::drain() {
  bool all = true;
  for (const auto& core : offered_) {
    const auto lock = core->lock();
    if (core->is_retired() || core->machine().state() != PortState::started)
      return fail(ErrorCode::bad_state, "a port was stopped meanwhile", "start the new program again");
    auto drained = core->machine().drain_handover();
    if (!drained) return drained;
    all = all && *drained;
  }
  return all;
}

Result<void> HandoverCore::describe() {
  Cores ports = port_cores(*context_.state());
  std::erase_if(ports, [](const auto& core) {
    const auto lock = core->lock();
    return core->is_retired() || core->machine().state() == PortState::closed;
  });
  if (ports.empty()) return fail(ErrorCode::bad_state, "there is no port to hand over", "start one first");
  std::vector<handover::DescribedPort> described;
  for (const auto& core : ports) {
    auto one = core->with_lock(&PortMachine::describe_handover);
    if (!one) return pass_on(std::move(one));
    described.push_back(*std::move(one));
  }
  const int listener = listener_.get();
  auto sent =
      handover::send(client_.get(), {{"message", "program"}, {"version", handover::kVersion}, {"ports", ports.size()}},
                     {&listener, 1});
  for (std::size_t i = 0; sent && i < ports.size(); ++i)
    sent = handover::send(client_.get(), described[i].json, described[i].descriptors);
  if (sent) offered_ = std::move(ports);
  return sent;
}

Result<void> HandoverCore::send_queues(const Cores& ports) {
  for (const auto& core : ports) {
    auto queues = core->machine().freeze_handover();
    if (!queues) return pass_on(std::move(queues));
    for (const handover::QueueRecord& queue : *queues) {
      handover::Json json = handover::to_json(queue);
      json["message"] = "queue";
      if (auto sent = handover::send(client_.get(), json); !sent) return sent;
    }
  }
  return handover::send(client_.get(), {{"message", "frozen"}});
}

// After the shutdown the successor cannot say any more that it has the ports: either it has said so by then, or it
// learns that it does not have them.
bool HandoverCore::is_taken() {
  pollfd waiting{client_.get(), POLLIN, 0};
  static_cast<void>(::poll(&waiting, 1, kTakenLimit));
  ::shutdown(client_.get(), SHUT_RDWR);
  const auto message = next_message();
  return message && (*message)["message"] == "taken";
}

// No control call changes a port meanwhile.
Result<void> HandoverCore::give() {
  std::vector<std::unique_lock<std::mutex>> locks;
  for (const auto& core : offered_) {
    locks.push_back(core->lock());
    if (core->is_retired() || core->machine().state() != PortState::started)
      return fail(ErrorCode::bad_state, "a port was stopped meanwhile", "start the new program again");
  }
  auto sent = send_queues(offered_);
  if (sent && is_taken()) {
    context_.state()->keep_pages();
    for (const auto& core : offered_) core->leave_to_successor();
    offered_.clear();
    client_ = {};
    done_.store(true, std::memory_order_release);
    return {};
  }
  for (const auto& core : offered_) core->machine().thaw_handover();
  return sent ? fail(ErrorCode::timeout, "the new program did not take the ports", "see why it ended") : sent;
}

Handover::Handover(std::shared_ptr<HandoverCore> core) : core_(std::move(core)) {}
Handover::Handover(Handover&&) noexcept = default;
Handover& Handover::operator=(Handover&& other) noexcept {
  std::swap(core_, other.core_);
  return *this;
}
Handover::~Handover() {
  if (core_ != nullptr && core_->is_own()) core_->close();
}

Result<Handover> Handover::offer(Context& context, const std::string& socket) {
  FileDescriptor listener = handover::inheritance(*context.state()).take_listener(socket);
  if (!listener) {
    auto made = listen_at(socket);
    if (!made) return pass_on(std::move(made));
    listener = *std::move(made);
  }
  auto core = std::make_shared<HandoverCore>(context, std::move(listener), socket);
  core->join(core);
  return Handover(std::move(core));
}

bool Handover::is_done() const noexcept { return core_->is_done(); }

}  // namespace pollux
