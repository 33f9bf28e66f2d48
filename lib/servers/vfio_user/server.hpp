// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <poll.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/file_descriptor.hpp"
#include "base/seldom_log.hpp"
#include "base/socket_file.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"
#include "servers/vfio_user/session.hpp"

namespace pollux::vfio_user {

/// A Unix socket that clients connect to. The destructor removes it. Its mode is 0600: it belongs to the user of this
/// process, who may give it to another one (chown).
class Listener {
 public:
  /// Replaces a socket that no process listens on. Errors: invalid_argument (the path is too long), busy (a process
  /// listens there, or the path is not a socket), io_error.
  [[nodiscard]] static Result<Listener> create(const std::string& path);
  Listener(Listener&& other) noexcept = default;
  Listener& operator=(Listener&& other) = delete;
  ~Listener();

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] int socket() const noexcept { return socket_.get(); }
  /// The next client, if one waits. Never blocks.
  [[nodiscard]] PeerSocket accept() const;
  /// Whether a client is root, of the user of this process, or of the user to whom the socket's file belongs.
  [[nodiscard]] bool may_connect(int client) const;

 private:
  Listener(FileDescriptor socket, std::string path)
      : socket_(std::move(socket)), path_(std::move(path)), file_(identity_of(path_)) {}

  FileDescriptor socket_;
  std::string path_;
  SocketIdentity file_;
};

/// Exports a Device to another process, such as a virtual machine, by the vfio-user protocol: one socket, one client at
/// a time. After a client has gone, the card is reset and has neither memory nor interrupts.
/// Thread rule: one thread at a time. Nothing blocks.
class Server {
 public:
  /// Descriptors that a client can make the process have: those of a message, and eventfds.
  static constexpr unsigned kMaxDescriptors = 320;
  /// The Context gives clock and log and outlives the server. It may have no DMA memory, because that would be mapped
  /// for the card beside the client's. `passes_functions`: see Regions::create. Errors: those of Listener::create and
  /// of the device.
  [[nodiscard]] static Result<std::unique_ptr<Server>> create(Context& context, std::unique_ptr<Device> device,
                                                              const std::string& path, bool passes_functions = false);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  /// Does all that is due: connects a client, processes its commands, lets the card act, passes interrupts on.
  void work();
  /// Passes on the interrupts that have been raised since `work`: the work of another server raises them if its card is
  /// on the same wire.
  void relay() { interrupts_.relay(); }
  /// What to wait for before the next call of `work`.
  [[nodiscard]] std::array<pollfd, 3> descriptors() const noexcept;
  [[nodiscard]] Time next() const;

  [[nodiscard]] bool has_client() const noexcept { return session_.has_value(); }
  /// Number of clients that have come and gone.
  [[nodiscard]] std::uint64_t sessions_ended() const noexcept { return sessions_ended_; }
  [[nodiscard]] const std::string& path() const noexcept { return listener_.path(); }
  [[nodiscard]] Device& device() noexcept { return *device_; }

 private:
  Server(Context& context, std::unique_ptr<Device> device, Regions regions, Interrupts interrupts, Listener listener);
  /// Whether no client is accepted for now.
  [[nodiscard]] bool rests() const;
  void accept_client();
  void end_session();
  /// Logs an error.
  void attempt(const std::function<Result<void>()>& call) noexcept;
  /// Logs a warning at most once a minute.
  void log(LogLevel level, std::string_view text, std::string_view detail = {}) noexcept;
  [[nodiscard]] Result<void> restore_card();

  Context& context_;
  SeldomLog seldom_;
  std::unique_ptr<Device> device_;
  std::array<std::uint32_t, 64> config_{};  // the first 256 bytes of configuration space before the first client
  Regions regions_;
  Interrupts interrupts_;
  Listener listener_;
  std::optional<Session> session_;
  std::uint64_t sessions_ended_ = 0;
  Time next_client_{};  // before this time none is accepted
  // Has further owners while files that earlier clients have sent are being closed.
  std::shared_ptr<const void> closes_ = std::make_shared<int>();
};

/// Runs servers on the calling thread until `stopped` returns true. It is called at least every 100 ms. Errors: those
/// of Clock::wait.
[[nodiscard]] Result<void> serve(Clock& clock, std::span<const std::unique_ptr<Server>> servers,
                                 const std::function<bool()>& stopped);

/// What a thread does besides the servers.
struct OtherWork {
  /// Does what is due. Returns when it has to be called again at the latest, or nothing to end. It is called more
  /// often, at least every 100 ms.
  std::function<std::optional<Time>()> run;
  /// Readable while there is work; -1 if there is none.
  int descriptor = -1;
};

/// Runs servers and other work on the calling thread until that ends. Errors: those of Clock::wait.
[[nodiscard]] Result<void> serve_beside(Clock& clock, std::span<const std::unique_ptr<Server>> servers,
                                        const OtherWork& other);

}  // namespace pollux::vfio_user
