// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/helper_sessions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <system_error>

namespace pollux::xdp {

HelperSessions::HelperSessions(const Clock& clock, const HelperPolicy& policy, LogCallback log, std::size_t most)
    : clock_(clock), policy_(policy), seldom_(clock, std::move(log)), most_(most) {}

void HelperSessions::accept(PeerSocket connection, uid_t user) {
  const auto of_user = static_cast<std::size_t>(std::ranges::count(clients_, user, &Client::user));
  if (clients_.size() >= most_) {
    warn(
        fmt::format("refused a process of user {}: all {} sessions are taken; end ports, or start another helper "
                    "(--socket)",
                    user, most_));
  } else if (of_user >= most_ - clients_.size()) {
    warn(
        fmt::format("refused a process of user {}: it has as many of the {} sessions as are left for others; end "
                    "some of its ports, or start another helper (--socket)",
                    user, most_));
  } else {
    clients_.emplace_back(std::move(connection), policy_, user, clock_.now());
  }
}

// There is no event for an answer that has been taken. A client that waits for its answers is never early.
void HelperSessions::append(std::vector<pollfd>& waiting) {
  for (Client& client : clients_) {
    const HelperSession& session = client.session;
    if (client.is_early) client.is_early = !session.answer_is_taken();
    if (!client.is_early) waiting.push_back({session.descriptor(), POLLIN, 0});
    if (session.events() >= 0) waiting.push_back({session.events(), POLLIN, 0});
  }
}

void HelperSessions::serve(std::span<const pollfd> ready) {
  std::set<uid_t> served;
  for (const pollfd& one : ready) {
    const auto client = std::ranges::find_if(clients_, [&one](const Client& each) {
      return each.session.descriptor() == one.fd || each.session.events() == one.fd;
    });
    if (one.revents == 0 || client == clients_.end()) continue;
    if (one.fd == client->session.events()) {
      client->session.tell();
    } else if (served.insert(client->user).second) {
      serve_request(client);
    }
  }
  end_silent();
}

void HelperSessions::serve_request(Clients::iterator client) {
  HelperSession& session = client->session;
  const bool was_open = session.is_open();
  const auto served = session.serve();
  if (!was_open && session.is_open()) say("opened", session);
  client->is_early = served == HelperSession::Served::too_early;
  if (served != HelperSession::Served::ended) {
    clients_.splice(clients_.end(), clients_, client);
    return;
  }
  if (const int error = session.send_error(); error != 0) {
    warn(fmt::format("cannot answer a process of user {} ({}): {}", client->user, std::system_category().message(error),
                     error == ETOOMANYREFS
                         ? "programs of the helper's user have sent too many file descriptors that nobody has "
                           "received; end them, or give the helper more (ulimit -n, LimitNOFILE= of its unit)"
                         : "its session ends"));
  }
  if (session.is_open()) say("closed", session);
  clients_.erase(client);
}

void HelperSessions::end_silent() {
  std::erase_if(clients_, [this](const Client& client) {
    const bool is_silent = !client.session.is_open() && clock_.now() - client.since >= kOpenLimit;
    if (is_silent) {
      warn(fmt::format("ended a connection of user {}: no interface was opened within {} s", client.user,
                       std::chrono::duration_cast<std::chrono::seconds>(kOpenLimit).count()));
    }
    return is_silent;
  });
}

void HelperSessions::say(const char* what, const HelperSession& session) {
  seldom_.log(LogLevel::info, fmt::format("{}: {}", session.interface(), what));
}

}  // namespace pollux::xdp
