// SPDX-License-Identifier: BSD-3-Clause
#include "confirm/confirmed_bind.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <ostream>
#include <string_view>
#include <utility>

#include "confirm/guard.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

enum class Waited { enter, guard_ended, input_ended };

/// Waits for Enter or the end of `input`, or for the guard's end, whichever is first.
Waited wait_for_enter(const Environment& environment, int input, const GuardProcess& guard) {
  std::array watched{pollfd{input, POLLIN, 0}, pollfd{guard.event_fd(), POLLIN, 0}};
  for (;;) {
    static_cast<void>(environment.clock.wait(watched, environment.clock.now() + Clock::kMaxWait));
    if (watched[1].revents != 0) return Waited::guard_ended;
    if (watched[0].revents == 0) continue;
    std::array<char, 256> typed{};
    const ssize_t got = ::read(input, typed.data(), typed.size());
    if (got <= 0) return Waited::input_ended;
    const std::string_view text(typed.data(), static_cast<std::size_t>(got));
    if (text.find('\n') != std::string_view::npos) return Waited::enter;
  }
}

int report_outcome(const Environment& environment, GuardOutcome outcome) {
  switch (outcome) {
    case GuardOutcome::confirmed: environment.out << "confirmed: the ports stay bound\n"; return kSuccess;
    case GuardOutcome::rolled_back: environment.err << "pollux: not confirmed: the ports are as before\n"; break;
    case GuardOutcome::failed:
      environment.err << "pollux: not everything is as before\n"
                         "  hint: see why in the system's log: journalctl -t pollux; and `pollux unbind`\n";
      break;
  }
  return kFailure;
}

/// Ports that `bind` has bound under a guard, or the exit code of a command that could not do so.
struct GuardedPorts {
  std::optional<PendingBinding> pending;  ///< one of them at a time
  std::optional<GuardProcess> guard;
  int exit_code = kFailure;
};

GuardedPorts bind_guarded(const Environment& environment, const std::vector<pci::Address>& addresses,
                          const host::BindOptions& options, const HostActions& actions, std::optional<Time> deadline,
                          const BindPorts& bind) {
  const auto failed = [&](const Error& error) { return GuardedPorts{{}, {}, report(environment, error)}; };
  const host::Binder binder(environment.paths, environment.clock, environment.network, environment.log);
  if (const auto able = binder.check_bind(addresses, options); !able) return failed(able.error());
  const auto rollback = Rollback::prepare(environment, actions, addresses);
  if (!rollback) return failed(rollback.error());
  auto pending = PendingBinding::create(environment.paths);
  if (!pending) return failed(pending.error());
  auto guard = GuardProcess::start(environment, *pending, *rollback, deadline);
  if (!guard) {
    static_cast<void>(pending->claim());
    return failed(guard.error());
  }
  if (const int exit_code = bind(); exit_code != kSuccess) {
    static_cast<void>(guard->roll_back());
    return {{}, {}, exit_code};
  }
  return {*std::move(pending), *std::move(guard), kSuccess};
}

}  // namespace

int confirm_binding(const Environment& environment) {
  const auto confirmed = PendingBinding::confirm(environment.paths);
  if (!confirmed) return report(environment, confirmed.error());
  return report_outcome(environment, GuardOutcome::confirmed);
}

int bind_with_confirmation(const Environment& environment, const std::vector<pci::Address>& addresses,
                           const host::BindOptions& options, Duration limit, const HostActions& actions,
                           const BindPorts& bind) {
  auto guarded = bind_guarded(environment, addresses, options, actions, environment.clock.now() + limit, bind);
  if (!guarded.guard) return guarded.exit_code;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit).count();
  environment.out << fmt::format("the ports are given back in {} s, unless you {}run: pollux bind --confirmed\n",
                                 seconds, environment.terminal >= 0 ? "press Enter, or " : "")
                  << std::flush;
  if (environment.terminal < 0) return kSuccess;
  // An Enter that was typed before the question does not answer it.
  static_cast<void>(::tcflush(environment.terminal, TCIFLUSH));
  if (wait_for_enter(environment, environment.terminal, *guarded.guard) == Waited::enter) {
    return confirm_binding(environment);
  }
  return report_outcome(environment, guarded.guard->wait());
}

int bind_and_hold(const Environment& environment, const std::vector<pci::Address>& addresses,
                  const host::BindOptions& options, int input, const HostActions& actions, const BindPorts& bind) {
  auto guarded = bind_guarded(environment, addresses, options, actions, std::nullopt, bind);
  if (!guarded.guard) return guarded.exit_code;
  environment.out << "the ports are given back when standard input ends\n" << std::flush;
  GuardProcess& guard = *guarded.guard;
  auto waited = Waited::enter;
  while (waited == Waited::enter) waited = wait_for_enter(environment, input, guard);
  const GuardOutcome outcome = waited == Waited::guard_ended ? guard.wait() : guard.roll_back();
  if (outcome != GuardOutcome::rolled_back) return report_outcome(environment, outcome);
  environment.out << "the ports are as before\n";
  return kSuccess;
}

}  // namespace pollux::tool
