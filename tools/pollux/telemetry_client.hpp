// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux::tool {

using TelemetryJson = nlohmann::ordered_json;

/// The member of an object, or null: a program may be of another version, or send anything.
[[nodiscard]] const TelemetryJson& member(const TelemetryJson& json, const char* name);
const TelemetryJson& member(TelemetryJson&& json, const char* name) = delete;
/// A member that is a string, as `printable` shows it; empty if it is none.
[[nodiscard]] std::string text_of(const TelemetryJson& json, const char* name);
/// UTF-8 of another program with ? for each control character, which a terminal would obey.
[[nodiscard]] std::string printable(std::string_view text);

/// A connection to the telemetry of a running program: docs/telemetry.md.
class TelemetryClient {
 public:
  static constexpr std::chrono::seconds kLimit{5};

  /// Errors: not_found (no socket there, or nobody listens), permission_denied (also if neither root nor the owner of
  /// the directory listens), busy (others wait for a connection), io_error.
  [[nodiscard]] static Result<TelemetryClient> connect(const std::string& socket);

  /// Sends a request and waits for its answer. Errors: that of the answer, timeout (the program does not answer within
  /// `limit`), io_error (the program ended or sent nonsense).
  [[nodiscard]] Result<TelemetryJson> call(std::string_view method, TelemetryJson params = TelemetryJson::object(),
                                           std::chrono::milliseconds limit = kLimit);

  /// Whether the program answered the last request, perhaps with an error.
  [[nodiscard]] bool answered() const noexcept { return answered_; }

  /// Gives the connection to another owner, with what the program has sent after its last answer.
  [[nodiscard]] FileDescriptor release(std::string& rest) noexcept {
    rest = std::move(received_);
    return std::move(socket_);
  }

 private:
  TelemetryClient(std::string name, FileDescriptor socket) : name_(std::move(name)), socket_(std::move(socket)) {}
  using Deadline = std::chrono::steady_clock::time_point;
  [[nodiscard]] Result<void> wait_for(short events, Deadline deadline) const;
  [[nodiscard]] tl::unexpected<Error> no_answer() const;
  [[nodiscard]] Result<void> send(std::string_view line, Deadline deadline) const;
  [[nodiscard]] Result<std::string> receive(Deadline deadline);

  std::string name_;
  FileDescriptor socket_;
  std::string received_;
  std::uint64_t last_id_ = 0;
  bool answered_ = false;
};

/// A port of a running program.
struct RunningPort {
  std::string name;  ///< "plx0"
  std::string uri;
  std::string driver;
  std::string state;
  std::int64_t pid = 0;
  std::string program;
  std::string socket;
};

/// Where programs have their sockets: the user's directory, and for root also those of other users.
[[nodiscard]] std::vector<std::string> telemetry_directories();
/// The sockets in these directories, also of programs that have ended.
[[nodiscard]] std::vector<std::string> telemetry_sockets(const std::vector<std::string>& directories);
struct RunningPorts {
  std::vector<RunningPort> ports = {};
  std::vector<Error> failures = {};  ///< of programs that could not be asked; each names the socket
};
/// The ports of all programs that answer, and why others do not. Programs that have ended are left out.
[[nodiscard]] RunningPorts running_ports(const std::vector<std::string>& directories);
/// The ports of the program behind one socket. Errors: those of TelemetryClient.
[[nodiscard]] Result<std::vector<RunningPort>> ports_of(const std::string& socket);
/// As above, by a connection to that socket.
[[nodiscard]] Result<std::vector<RunningPort>> ports_of(TelemetryClient& client, const std::string& socket,
                                                        std::chrono::milliseconds limit = TelemetryClient::kLimit);

/// The port that `text` names: its name, its URI, or the id of a process that has one port. Errors: not_found and
/// invalid_argument (several); the hint lists the candidates, and the programs that could not be asked.
[[nodiscard]] Result<RunningPort> select_port(const RunningPorts& running, const std::string& text);

}  // namespace pollux::tool
