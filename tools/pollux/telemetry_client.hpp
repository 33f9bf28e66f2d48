// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/peer_socket.hpp"
#include "base/printable.hpp"
#include "pollux/base/error.hpp"

namespace pollux::tool {

using TelemetryJson = nlohmann::ordered_json;

/// The member of an object, or null: a program may be of another version, or send anything.
[[nodiscard]] const TelemetryJson& member(const TelemetryJson& json, const char* name);
const TelemetryJson& member(TelemetryJson&& json, const char* name) = delete;
/// A member that is a string, as `printable` shows it, of at most 1,024 bytes; empty if it is none.
[[nodiscard]] std::string text_of(const TelemetryJson& json, const char* name);
/// A member that is a number, as text; - if it is none.
[[nodiscard]] std::string digits_of(const TelemetryJson& json, const char* name);
/// What --json prints: JSON of ASCII characters, since a terminal may obey others.
[[nodiscard]] std::string json_text(const TelemetryJson& json);

/// A connection to the telemetry of a running program: docs/telemetry.md.
class TelemetryClient {
 public:
  static constexpr std::chrono::seconds kLimit{5};

  /// Errors: not_found (no socket there, or nobody listens), permission_denied (also if another user than root, this
  /// one or the owner of the directory listens), busy (others wait for a connection for `limit`), io_error.
  [[nodiscard]] static Result<TelemetryClient> connect(const std::string& socket,
                                                       std::chrono::milliseconds limit = kLimit);

  /// Sends a request and waits for its answer. Errors: that of the answer, timeout (the program does not answer within
  /// `limit`), io_error (the program ended or sent nonsense).
  [[nodiscard]] Result<TelemetryJson> call(std::string_view method, TelemetryJson params = TelemetryJson::object(),
                                           std::chrono::milliseconds limit = kLimit);

  /// The user who listens there.
  [[nodiscard]] std::uint32_t user() const noexcept { return user_; }
  /// Whether the program answered the last request, perhaps with an error.
  [[nodiscard]] bool answered() const noexcept { return answered_; }

  /// Gives the connection to another owner, with what the program has sent after its last answer.
  [[nodiscard]] PeerSocket release(std::string& rest) noexcept {
    rest = std::move(received_);
    return std::move(socket_);
  }

 private:
  TelemetryClient(std::string name, PeerSocket socket, std::uint32_t user)
      : name_(std::move(name)), socket_(std::move(socket)), user_(user) {}
  using Deadline = std::chrono::steady_clock::time_point;
  [[nodiscard]] Result<void> wait_for(short events, Deadline deadline) const;
  [[nodiscard]] tl::unexpected<Error> no_answer() const;
  [[nodiscard]] Result<void> send(std::string_view line, Deadline deadline) const;
  [[nodiscard]] Result<std::string> receive(Deadline deadline);

  std::string name_;
  PeerSocket socket_;
  std::uint32_t user_;
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
  std::string user = {};  ///< of the program, by name or number
};

/// Whose programs are asked.
enum class Users {
  own,  ///< this user's and, for root, those in /run/pollux
  all,  ///< for root also those of others, which may answer anything
};

/// The name of a user, or the number if it has none.
[[nodiscard]] std::string user_name(std::uint32_t user);
/// Where programs have their sockets. Directories that belong to another user than they should, or to which others may
/// write, are left out.
[[nodiscard]] std::vector<std::string> telemetry_directories(Users users = Users::own);
/// The sockets in these directories, also of programs that have ended; at most 256 of a directory, and none beyond its
/// first 16,384 files.
[[nodiscard]] std::vector<std::string> telemetry_sockets(const std::vector<std::string>& directories);
/// How much of what is left (time, samples) the next of several directories has, or of the programs of one. Half of it
/// is left to the others, so that nobody takes it all.
template <class Amount>
[[nodiscard]] constexpr Amount share_of_next(Amount left, std::size_t several) noexcept {
  return several > 1 ? left / 2 : left;
}

struct RunningPorts {
  std::vector<RunningPort> ports = {};
  std::vector<Error> failures = {};  ///< of programs that could not be asked; each names the socket
};
/// The ports of all programs that answer, and why others do not. Programs that have ended are left out. All of them
/// have `limit` for their answers, and room for some 2,000 ports; a directory of which some are not asked in its part
/// of these is a failure.
[[nodiscard]] RunningPorts running_ports(const std::vector<std::string>& directories,
                                         std::chrono::milliseconds limit = std::chrono::seconds(10));
/// The ports of the program behind one socket, at most 256. Errors: those of TelemetryClient.
[[nodiscard]] Result<std::vector<RunningPort>> ports_of(const std::string& socket,
                                                        std::chrono::milliseconds limit = TelemetryClient::kLimit);
/// As above, by a connection to that socket.
[[nodiscard]] Result<std::vector<RunningPort>> ports_of(TelemetryClient& client, const std::string& socket,
                                                        std::chrono::milliseconds limit = TelemetryClient::kLimit);

/// The port that `text` names: its name, its URI, or the id of a process that has one port. Errors: not_found and
/// invalid_argument (several); the hint lists the candidates, and the programs that could not be asked.
[[nodiscard]] Result<RunningPort> select_port(const RunningPorts& running, const std::string& text);

}  // namespace pollux::tool
