// SPDX-License-Identifier: BSD-3-Clause
#include "servers/vfio_user/server.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <new>
#include <utility>
#include <vector>

namespace pollux::vfio_user {
namespace {

/// Maximum number of clients that wait until the one before them has gone.
constexpr int kBacklog = 4;
constexpr mode_t kMode = 0600;

FileDescriptor make_socket() {
  return FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

const sockaddr* generic(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

}  // namespace

Result<Listener> Listener::create(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' cannot be a socket's path", path),
                fmt::format("use a path of 1 to {} bytes", sizeof address.sun_path - 1));
  }
  std::memcpy(static_cast<char*>(address.sun_path), path.data(), path.size());
  FileDescriptor socket = make_socket();
  // The file gets the mode of the socket, so that it is open to nobody else for a moment.
  if (!socket || ::fchmod(socket.get(), kMode) != 0)
    return fail_errno(ErrorCode::io_error, "a Unix socket cannot be created", errno, "raise the limit of open files");
  const auto bind = [&] { return ::bind(socket.get(), generic(address), sizeof address) == 0 ? 0 : errno; };
  int error = bind();
  if (error == EADDRINUSE && remove_unused_socket(path, SOCK_STREAM) == 0) error = bind();
  if (error == EADDRINUSE) {
    return fail(ErrorCode::busy, fmt::format("{} is in use, or is not a socket", path),
                "stop the process that listens there, or use another path");
  }
  if (error != 0) {
    return fail_errno(ErrorCode::io_error, fmt::format("the socket {} cannot be created", path), error,
                      "use a path in an existing, writable folder");
  }
  Listener listener(std::move(socket), path);  // removes the file from here on
  if (::listen(listener.socket(), kBacklog) != 0)
    return fail_errno(ErrorCode::io_error, fmt::format("the socket {} cannot be listened on", path), errno);
  return listener;
}

Listener::~Listener() {
  if (socket_) remove_socket(path_, file_);
  close_listener(std::move(socket_));
}

PeerSocket Listener::accept() const {
  return PeerSocket(FileDescriptor(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)));
}

bool Listener::may_connect(int client) const {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (peer.uid == 0 || peer.uid == ::geteuid()) return true;
  struct stat file {};
  return ::lstat(path_.c_str(), &file) == 0 && S_ISSOCK(file.st_mode) && file.st_uid == peer.uid;
}

namespace {

/// The interval at which the level of an interrupt pin is read if nothing else happens. A card with a thread of its own
/// may change the level at any time, without an event.
constexpr Duration kPinInterval = std::chrono::milliseconds(1);

}  // namespace

Result<std::unique_ptr<Server>> Server::create(Context& context, std::unique_ptr<Device> device,
                                               const std::string& path, bool passes_functions) {
  auto regions = Regions::create(*device, passes_functions);
  if (!regions) return pass_on(std::move(regions));
  auto interrupts = Interrupts::create(*device);
  if (!interrupts) return pass_on(std::move(interrupts));
  auto listener = Listener::create(path);
  if (!listener) return pass_on(std::move(listener));
  return std::unique_ptr<Server>(
      new Server(context, std::move(device), *regions, *std::move(interrupts), *std::move(listener)));
}

Server::Server(Context& context, std::unique_ptr<Device> device, Regions regions, Interrupts interrupts,
               Listener listener)
    : context_(context),
      seldom_(context.clock(), [&context](LogLevel level, std::string_view text) { context.log(level, text); }),
      device_(std::move(device)),
      regions_(regions),
      interrupts_(std::move(interrupts)),
      listener_(std::move(listener)) {
  for (std::uint32_t i = 0; i < config_.size(); ++i) config_[i] = device_->read_config(i * 4, 4).value_or(0);
}

Server::~Server() {
  if (session_) end_session();
}

// What a client asks for may need more memory than there is. That ends its session, and nothing else.
void Server::work() {
  bool alive = true;
  try {
    if (!session_) accept_client();
    if (session_) alive = session_->work();
  } catch (const std::exception&) {
    if (session_) session_->close("the server has no memory left for what it asked for");
    alive = !session_;
  }
  regions_.flush();
  interrupts_.relay();
  if (!session_) return;
  if (interrupts_.held_up() != Duration(0)) {
    session_->close("its eventfds are watched so often that to use them takes too long");
    alive = false;
  }
  if (const std::string_view notice = session_->take_notice(); !notice.empty()) log(LogLevel::warning, notice);
  if (!alive) end_session();
}

bool Server::rests() const { return closes_.use_count() > 1 || context_.clock().now() < next_client_; }

void Server::accept_client() {
  if (rests()) return;
  PeerSocket client = listener_.accept();
  if (client.get() < 0) return;
  if (!listener_.may_connect(client.get())) return log(LogLevel::warning, "a client of another user was turned away");
  session_.emplace(std::move(client), closes_, *device_, regions_, interrupts_, context_.clock());
  log(LogLevel::info, "a client has connected to", device_->name());
}

// Bus mastering ends first: the client's memory is unmapped with the session.
void Server::end_session() {
  log(LogLevel::info,
      "the client's session has ended:", session_->why().empty() ? "the server stops" : session_->why());
  attempt([this] { return device_->set_bus_master(false); });
  session_.reset();
  ++sessions_ended_;
  if (const Duration held_up = interrupts_.take_held_up(); held_up != Duration(0))
    next_client_ = context_.clock().now() + Interrupts::kShare * held_up;
  attempt([this] { return restore_card(); });
}

void Server::attempt(const std::function<Result<void>()>& call) noexcept {
  try {
    if (const auto done = call(); !done) log(LogLevel::warning, done.error().message());
  } catch (const std::exception&) {
    log(LogLevel::warning, "the card could not be reset for lack of memory");
  }
}

void Server::log(LogLevel level, std::string_view text, std::string_view detail) noexcept {
  try {
    std::string message = fmt::format("{}: {}{}{}", path(), text, detail.empty() ? "" : " ", detail);
    level == LogLevel::warning ? seldom_.log(level, std::move(message)) : context_.log(level, message);
  } catch (const std::bad_alloc&) {  // there is no memory for the text
  }
}

// Resets the card and restores its configuration space, as vfio-pci does. So the next client finds the card as the
// first one did.
Result<void> Server::restore_card() {
  if (auto reset = device_->reset(); !reset) return reset;
  for (std::uint32_t i = 0; i < config_.size(); ++i) {
    auto value = device_->read_config(i * 4, 4);
    if (!value) return pass_on(std::move(value));
    if (*value == config_[i]) continue;
    if (auto written = device_->write_config(i * 4, 4, config_[i]); !written) return written;
  }
  return {};
}

std::array<pollfd, 3> Server::descriptors() const noexcept {
  const pollfd client = session_ ? pollfd{session_->socket(), session_->events(), 0}
                                 : pollfd{rests() ? -1 : listener_.socket(), POLLIN, 0};
  return {client, pollfd{interrupts_.event_fd(), POLLIN, 0}, pollfd{device_->next_wakeup().descriptor, POLLIN, 0}};
}

Time Server::next() const {
  Time device = device_->next_wakeup().at;
  if (interrupts_.watches_pin()) device = std::min(device, context_.clock().now() + kPinInterval);
  if (session_) return std::min(device, session_->deadline());
  return context_.clock().now() < next_client_ ? std::min(device, next_client_) : device;
}

namespace {

constexpr Duration kMaxWait = std::chrono::milliseconds(100);
/// The shortest sleep. A card whose next event is always due would make the server spin.
constexpr Duration kMinWait = std::chrono::microseconds(10);

}  // namespace

Result<void> serve(Clock& clock, std::span<const std::unique_ptr<Server>> servers,
                   const std::function<bool()>& stopped) {
  return serve_beside(clock, servers, {.run = [&] { return stopped() ? std::nullopt : std::optional(Time::max()); }});
}

Result<void> serve_beside(Clock& clock, std::span<const std::unique_ptr<Server>> servers, const OtherWork& other) {
  std::vector<pollfd> descriptors;
  while (const std::optional<Time> due = other.run()) {
    const Time now = clock.now();
    Time until = std::min(*due, now + kMaxWait);
    descriptors.assign(1, pollfd{other.descriptor, POLLIN, 0});
    for (const auto& server : servers) server->work();
    for (const auto& server : servers) {
      server->relay();
      until = std::min(until, server->next());
      // A negative descriptor is ignored by poll(2).
      for (const pollfd& descriptor : server->descriptors()) descriptors.push_back(descriptor);
    }
    auto waited = clock.wait(descriptors, std::max(until, now + kMinWait));
    if (!waited) return pass_on(std::move(waited));
  }
  return {};
}

}  // namespace pollux::vfio_user
