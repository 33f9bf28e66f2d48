// SPDX-License-Identifier: BSD-3-Clause
#include "confirm/confirmed_bind.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ostream>
#include <string_view>

#include "confirm/guard.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

enum class Waited { enter, guard_ended, terminal_gone };

/// Waits for Enter on the terminal, or for the guard's end, whichever is first.
Waited wait_for_enter(const Environment& environment, const GuardProcess& guard) {
  std::array watched{pollfd{environment.terminal, POLLIN, 0}, pollfd{guard.event_fd(), POLLIN, 0}};
  for (;;) {
    static_cast<void>(environment.clock.wait(watched, environment.clock.now() + Clock::kMaxWait));
    if (watched[1].revents != 0) return Waited::guard_ended;
    if (watched[0].revents == 0) continue;
    std::array<char, 256> typed{};
    const ssize_t got = ::read(environment.terminal, typed.data(), typed.size());
    if (got <= 0) return Waited::terminal_gone;
    const std::string_view text(typed.data(), static_cast<std::size_t>(got));
    if (text.find('\n') != std::string_view::npos) return Waited::enter;
  }
}

int report_outcome(const Environment& environment, GuardOutcome outcome) {
  switch (outcome) {
    case GuardOutcome::confirmed: environment.out << "confirmed: the ports stay bound\n"; return kSuccess;
    case GuardOutcome::rolled_back: environment.err << "pollux: not confirmed: the ports are as before\n"; break;
    case GuardOutcome::failed:
      environment.err << "pollux: not confirmed, and not everything is as before\n"
                         "  hint: see why in the system's log: journalctl -t pollux; and `pollux unbind`\n";
      break;
  }
  return kFailure;
}

}  // namespace

int confirm_binding(const Environment& environment) {
  const auto confirmed = PendingBinding::confirm(environment.paths);
  if (!confirmed) return report(environment, confirmed.error());
  return report_outcome(environment, GuardOutcome::confirmed);
}

int bind_with_confirmation(const Environment& environment, const std::vector<pci::Address>& addresses,
                           const pci::BindOptions& options, Duration limit, const HostActions& actions,
                           const BindPorts& bind) {
  const pci::Binder binder(environment.paths, environment.clock, environment.network, environment.log);
  if (const auto able = binder.check_bind(addresses, options); !able) return report(environment, able.error());
  const auto rollback = Rollback::prepare(environment, actions, addresses);
  if (!rollback) return report(environment, rollback.error());
  const auto pending = PendingBinding::create(environment.paths);
  if (!pending) return report(environment, pending.error());
  auto guard = GuardProcess::start(environment, *pending, *rollback, environment.clock.now() + limit);
  if (!guard) {
    static_cast<void>(pending->claim());
    return report(environment, guard.error());
  }
  if (const int failed = bind(); failed != kSuccess) {
    static_cast<void>(guard->roll_back());
    return failed;
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit).count();
  environment.out << fmt::format("the ports are given back in {} s, unless you {}run: pollux bind --confirmed\n",
                                 seconds, environment.terminal >= 0 ? "press Enter, or " : "")
                  << std::flush;
  if (environment.terminal < 0) return kSuccess;
  // An Enter that was typed before the question does not answer it.
  static_cast<void>(::tcflush(environment.terminal, TCIFLUSH));
  if (wait_for_enter(environment, *guard) == Waited::enter) return confirm_binding(environment);
  return report_outcome(environment, guard->wait());
}

}  // namespace pollux::tool
