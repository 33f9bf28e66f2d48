// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "mem/context_state.hpp"
#include "mem/control_scheduler.hpp"
#include "observe/capture/frame_filter.hpp"
#include "observe/methods.hpp"
#include "observe/places.hpp"
#include "observe/sockets.hpp"
#include "pollux/observe/capture.hpp"
#include "pollux/observe/telemetry.hpp"

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
  /// After this time a run accepts nobody and begins no request, but for the first ones.
  static constexpr Duration kMaxRun = std::chrono::microseconds(500);
  /// The rest after a run, by the time that it took: clients get a twentieth of the thread's time. Not longer than
  /// kMaxRest, so that others get answers in time after a request that took long.
  static constexpr int kRest = 19;
  static constexpr Duration kMaxRest = std::chrono::milliseconds(200);
  /// Captures at a time, besides as many that end because others got their places. Each may have 64 MiB of rings, and
  /// costs time for each frame.
  static constexpr std::size_t kMaxCaptures = 4;

  [[nodiscard]] static Result<std::shared_ptr<TelemetryCore>> create(Context& context, TelemetryOptions options);
  /// `epoll` watches the listener and the compiler.
  TelemetryCore(Context& context, TelemetryOptions options, observe::OwnDirectory directory, observe::Listener listener,
                std::unique_ptr<observe::FilterCompiler> compiler, FileDescriptor epoll);

  [[nodiscard]] const std::string& socket() const noexcept { return listener_->path(); }
  [[nodiscard]] Result<Time> run() override;
  [[nodiscard]] bool is_own() const { return context_.state()->is_own(); }
  /// Disconnects all clients, removes the socket, and gives the names back. Waits for a run on another thread.
  void close();

 private:
  /// A client that has asked for a capture, and gets no other answer before.
  struct Waiting {
    observe::Json id;
    observe::CaptureRequest request;
  };

  /// A capture that a client has started, and which has its connection.
  struct ClientCapture {
    std::uint64_t client;
    uid_t user;
    std::unique_ptr<CaptureThread> thread;
    bool has_place = true;  ///< until another one got it: then it ends
  };

  /// These return whether more may be left to do.
  [[nodiscard]] bool work(Time end);
  [[nodiscard]] bool accept_clients(Time end);
  [[nodiscard]] bool serve_clients(Time end);
  [[nodiscard]] bool serve(observe::Connection& client, Time end);
  /// The clients of these users come after those of all others.
  void put_last(std::span<const uid_t> users);

  /// These return whether a client of that user, or its capture, may come: there is room, or another one has lost its
  /// place.
  [[nodiscard]] bool make_client_place(uid_t user);
  [[nodiscard]] bool make_capture_place(uid_t user);
  [[nodiscard]] bool make_place(const std::vector<observe::Place>& taken, std::size_t limit, uid_t user);
  void add_places_of_captures(std::vector<observe::Place>& places) const;
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
  std::map<std::uint64_t, Waiting> waiting_;  // by client
  std::list<ClientCapture> captures_;
  Time rests_until_{};
  std::uint64_t last_client_ = 0;
  bool closed_ = false;
};

}  // namespace pollux
