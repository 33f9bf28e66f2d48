// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "mem/context_state.hpp"
#include "mem/control_task.hpp"
#include "observe/connection.hpp"
#include "observe/listener.hpp"
#include "observe/methods.hpp"
#include "pollux/observe/capture_thread.hpp"

namespace pollux {

/// The server of a Telemetry: a task of the Context's Control, which accepts clients and answers their requests.
class TelemetryCore final : public ControlTask, public std::enable_shared_from_this<TelemetryCore> {
 public:
  /// Between two runs while the program does not wait for Control::event_fd.
  static constexpr Duration kInterval = std::chrono::milliseconds(20);
  /// Between two runs that give names to new ports, while events start the others.
  static constexpr Duration kIdleInterval = std::chrono::seconds(1);
  /// Requests of one client in a run, so that none keeps the program or other clients waiting.
  static constexpr int kRequestsPerRun = 4;

  /// Connections that are accepted in a run.
  static constexpr int kAcceptsPerRun = 64;

  [[nodiscard]] static Result<std::shared_ptr<TelemetryCore>> create(Context& context, TelemetryOptions options);
  /// `epoll` watches the listener.
  TelemetryCore(Context& context, TelemetryOptions options, observe::Listener listener, FileDescriptor epoll);

  [[nodiscard]] const std::string& socket() const noexcept { return listener_->path(); }
  [[nodiscard]] Result<Time> run() override;
  /// Disconnects all clients, removes the socket, and gives the names back. Waits for a run on another thread.
  void close();

 private:
  void join_control();
  /// Returns whether more clients may wait.
  [[nodiscard]] bool accept_clients();
  [[nodiscard]] bool watch(observe::Connection& client, unsigned events, int operation) const;
  /// Returns whether the client may have sent more requests.
  [[nodiscard]] bool serve(observe::Connection& client);
  void disconnect_finished();
  /// Answers the request. A connection that carries a capture from now on is over afterwards.
  void answer_to(const std::string& line, observe::Connection& client);
  void hand_over(observe::Connection& client, std::unique_ptr<Capture> capture);
  void forget_ended_captures();

  Context& context_;
  TelemetryOptions options_;
  ControlScheduler::TaskId task_ = 0;
  std::mutex mutex_;  // held by run and close
  std::optional<observe::Listener> listener_;
  FileDescriptor epoll_;
  observe::NamedPorts ports_;
  observe::PortMeters meters_;
  observe::ClientCounts counts_;
  std::list<observe::Connection> clients_;
  std::list<std::unique_ptr<CaptureThread>> captures_;  // each has the connection of a client
  std::uint64_t last_client_ = 0;
  bool closed_ = false;
};

}  // namespace pollux
