// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "mem/context_state.hpp"
#include "mem/control_scheduler.hpp"
#include "observe/capture/filter_compiler.hpp"
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
  /// After this time a run begins no further request.
  static constexpr Duration kMaxRun = std::chrono::microseconds(500);
  /// The rest after a run, by the time that it took: clients get a twentieth of the thread's time. Not longer than
  /// kMaxRest, so that others get answers in time after a request that took long.
  static constexpr int kRest = 19;
  static constexpr Duration kMaxRest = std::chrono::milliseconds(200);
  /// A client that has asked nothing for this time may lose its place to a new one.
  static constexpr Duration kIdleTime = std::chrono::seconds(1);
  /// Captures at a time. Each may have 64 MiB of rings, and costs time for each frame.
  static constexpr std::size_t kMaxCaptures = 4;

  [[nodiscard]] static Result<std::shared_ptr<TelemetryCore>> create(Context& context, TelemetryOptions options);
  /// `epoll` watches the listener and the compiler.
  TelemetryCore(Context& context, TelemetryOptions options, observe::OwnDirectory directory, observe::Listener listener,
                std::unique_ptr<observe::FilterCompiler> compiler, FileDescriptor epoll);

  [[nodiscard]] const std::string& socket() const noexcept { return listener_->path(); }
  [[nodiscard]] Result<Time> run() override;
  /// Disconnects all clients, removes the socket, and gives the names back. Waits for a run on another thread.
  void close();

 private:
  /// A client that has asked for a capture, and gets no other answer before.
  struct Waiting {
    observe::Json id;
    observe::CaptureRequest request;
  };

  void join_control();
  /// These return whether more may be left to do.
  [[nodiscard]] bool work(Time end);
  [[nodiscard]] bool accept_clients();
  [[nodiscard]] bool serve_clients(Time end);
  [[nodiscard]] bool serve(observe::Connection& client, Time end);

  /// Whether a client may come: there is room, or an idle client has lost its place.
  [[nodiscard]] bool make_place(Time now);
  [[nodiscard]] bool watch(observe::Connection& client, unsigned events, int operation) const;
  void disconnect_finished();
  /// Answers the request. A connection that carries a capture from now on is over afterwards.
  void answer_to(const std::string& line, observe::Connection& client);
  void prepare_capture(observe::Connection& client, Waiting waiting);
  void begin_compiled_captures();
  void begin_capture(observe::Connection& client, Waiting waiting, Result<observe::FrameFilter> filter);
  void hand_over(observe::Connection& client, std::unique_ptr<Capture> capture);
  void forget_ended_captures();

  Context& context_;
  TelemetryOptions options_;
  ControlScheduler::TaskId task_ = 0;
  std::mutex mutex_;  // held by run and close
  std::optional<observe::Listener> listener_;
  std::unique_ptr<observe::FilterCompiler> compiler_;
  FileDescriptor epoll_;
  observe::NamedPorts ports_;
  observe::PortMeters meters_;
  observe::ClientCounts counts_;
  std::list<observe::Connection> clients_;
  std::map<std::uint64_t, Waiting> waiting_;            // by client
  std::list<std::unique_ptr<CaptureThread>> captures_;  // each has the connection of a client
  Time rests_until_{};
  std::uint64_t last_client_ = 0;
  bool closed_ = false;
};

}  // namespace pollux
