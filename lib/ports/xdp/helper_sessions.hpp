// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/seldom_log.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/log.hpp"
#include "ports/xdp/helper_session.hpp"

namespace pollux::xdp {

/// A helper's sessions, of which each user has a fair share: no more than are free, and one request in a round. So a
/// user who takes all that there is leaves half of the sessions to others, and these wait for one request of each user.
/// Thread rule: one thread.
class HelperSessions {
 public:
  /// What the helper says of a session that begins or ends is info; what it refuses is a warning.
  /// `clock` and `policy` outlive it.
  HelperSessions(const Clock& clock, const HelperPolicy& policy, LogCallback log, std::size_t most);

  static constexpr std::size_t kMost = 64;
  /// Most file descriptors that the helper has for a session.
  static constexpr std::size_t kDescriptors = 12;
  /// A connection without an interface ends after this time.
  static constexpr Duration kOpenLimit = std::chrono::seconds(5);

  /// A connection of this user.
  void accept(PeerSocket connection, uid_t user);
  /// Appends what `serve` is to be called for, and at least every 100 ms.
  void append(std::vector<pollfd>& waiting);
  void serve(std::span<const pollfd> ready);
  /// Logs a warning about clients.
  void warn(std::string text) { seldom_.log(LogLevel::warning, std::move(text)); }

 private:
  struct Client {
    Client(PeerSocket connection, const HelperPolicy& policy, uid_t its_user, Time now)
        : session(std::move(connection), policy), user(its_user), since(now) {}

    HelperSession session;
    uid_t user;
    Time since;
    bool is_early = false;  ///< has sent a request before it has taken the last answer
  };
  using Clients = std::list<Client>;  // the next one to be served is in front

  void serve_request(Clients::iterator client);
  void end_silent();
  void say(const char* what, const HelperSession& session);

  const Clock& clock_;
  const HelperPolicy& policy_;
  SeldomLog seldom_;
  std::size_t most_;
  Clients clients_;
};

}  // namespace pollux::xdp
