// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/drop_counter.hpp"

namespace pollux {

class TelemetryCore;

/// What became of the frames of a program. It holds if
///
///     received + made = sent + all drops + in_flight + kept
struct TelemetryAccount {
  std::uint64_t received = 0;                  ///< frames that the ports delivered, also those that they dropped then
  std::uint64_t made = 0;                      ///< frames that the program made itself
  std::uint64_t sent = 0;                      ///< frames that left the ports
  std::uint64_t in_flight = 0;                 ///< frames that the ports have and have not sent yet
  std::uint64_t kept = 0;                      ///< frames that the program consumed
  std::map<std::string, std::uint64_t> drops;  ///< by reason, the ports' and the program's
};

/// Where the socket is, and what clients may ask for.
struct TelemetryOptions {
  /// Path of the socket, at most 107 bytes. Empty: PID.sock in `directory`.
  std::string socket = {};
  /// Where tools look for sockets, and where the ports' names are claimed. Empty: pollux/ in $XDG_RUNTIME_DIR, if that
  /// is the user's alone, or in /run for root; else /tmp/pollux-UID, or /tmp/pollux-UID-XXXXXX where somebody else has
  /// taken that name. It is created, and must belong to the user, who alone may write to it.
  std::string directory = {};
  /// Who may connect, as the permissions of the socket. Besides that, a client must run as the program's user, as
  /// root, or be in `group`.
  mode_t mode = 0600;
  /// A group whose members may connect. The socket gets this group; its mode should be 0660 then.
  std::optional<gid_t> group = {};
  /// Requests that change a port are refused.
  bool read_only = false;
  /// Clients may copy the frames of the ports (capture.start). Empty: unless `read_only` is set.
  std::optional<bool> captures = {};
  /// At most 1,024, captures included. If that is more than a half of the files that the program may open when
  /// Telemetry is created (RLIMIT_NOFILE), the half. Where all places are taken, a new client gets that of one that has
  /// asked nothing for a second or more, unless its user has fewer of them, or of one of a user who has more.
  unsigned max_clients = 16;
  std::string program = {};  ///< the name in answers; empty: that of the process
  /// Computes the program's account; nullopt if it cannot now. It runs on the thread that runs the Control, for each
  /// request of it, and must not throw. Empty: the program has no account.
  std::function<std::optional<TelemetryAccount>()> account = {};
  /// The counters under which the program drops frames, which captures show then (Capture). It runs on the thread that
  /// runs the Control, when a capture starts, and must not throw. Empty: captures show no dropped frames.
  std::function<std::vector<const DropCounter*>()> drops = {};
};

/// Answers other processes' questions about the ports of a Context, and lets them change settings, through a Unix
/// socket; docs/telemetry.md has the protocol. `pollux ports`, `stats` and `exporter` are clients.
///
///     auto telemetry = pollux::Telemetry::create(context);
///
/// It works in the Context's Control: without a thread of its own, and at no cost to the frames. A capture that a
/// client starts has a thread while it runs (CaptureThread), and so has the translation of its filter. A program that
/// calls Control::run_due when it is due answers within 20 ms, one that waits for Control::event_fd at once. A request
/// takes as long as the call of Port that it stands for. All clients together get at most a twentieth of the time of
/// the thread that runs the Control, but for requests that take longer than 10 ms. If there is no memory for an answer,
/// the client is told so or disconnected; docs/security.md has the one exception.
///
/// Every port of the Context has a name while Telemetry lives: plx0, plx1, ..., of at most 15 bytes, that no other
/// process of the user has. Ports may be opened, moved and closed at any time.
/// Ownership: the object owns the socket and the names. It may outlive the ports, and the Context outlives it.
/// Thread rule: any thread may destroy it, but neither a callback of Telemetry nor a port's event handler. It waits for
/// a request that is in progress.
class POLLUX_API Telemetry {
 public:
  /// Errors: invalid_argument (a path that is too long, too many clients), permission_denied (the directory belongs to
  /// another user, or others may write to it), busy (another process uses the socket), io_error.
  [[nodiscard]] static Result<Telemetry> create(Context& context, TelemetryOptions options = {});
  /// The other one may then only be destroyed or assigned to.
  ///@{
  Telemetry(Telemetry&&) noexcept;
  Telemetry& operator=(Telemetry&&) noexcept;
  ///@}
  /// Disconnects all clients and removes the socket.
  ~Telemetry();

  /// The path of the socket.
  [[nodiscard]] const std::string& socket() const noexcept;

 private:
  explicit Telemetry(std::shared_ptr<TelemetryCore> core);

  std::shared_ptr<TelemetryCore> core_;
};

}  // namespace pollux
