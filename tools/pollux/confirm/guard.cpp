// SPDX-License-Identifier: BSD-3-Clause
#include "confirm/guard.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

namespace pollux::tool {
namespace {

constexpr Duration kLookAgain = std::chrono::milliseconds(100);
constexpr Duration kTryAgain = std::chrono::seconds(1);

/// Leaves the session and the terminal, so that their end does not end this process.
void detach_from_session() {
  ::setsid();
  for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGTSTP}) ::signal(number, SIG_IGN);
  const int null = ::open("/dev/null", O_RDWR);
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, standard);
  if (null > STDERR_FILENO) ::close(null);
  if (::chdir("/") != 0) ::syslog(LOG_WARNING, "cannot leave the current directory");
}

/// Nobody else gives the ports back, so this waits as long as another command changes bindings.
Result<void> roll_back(const Environment& environment, const Rollback& rollback) {
  auto done = rollback.run(environment);
  while (!done && done.error().code == ErrorCode::busy) {
    ::syslog(LOG_WARNING, "%s; trying again", done.error().what.c_str());
    environment.clock.sleep_for(kTryAgain);
    done = rollback.run(environment);
  }
  return done;
}

[[noreturn]] void run_guard(const Environment& environment, const PendingBinding& pending, const Rollback& rollback,
                            std::optional<Time> deadline, int now, int outcome) {
  detach_from_session();
  ::openlog("pollux", LOG_PID, LOG_DAEMON);
  const char result = static_cast<char>(guard_binding(environment, pending, rollback, deadline, now));
  static_cast<void>(!::write(outcome, &result, 1));
  ::_exit(0);
}

}  // namespace

GuardOutcome guard_binding(const Environment& environment, const PendingBinding& pending, const Rollback& rollback,
                           std::optional<Time> deadline, int now) {
  const Time until = deadline.value_or(Time::max());
  bool at_once = false;
  while (!at_once && pending.waits() && environment.clock.now() < until) {
    std::array watched{pollfd{now, POLLIN, 0}};
    static_cast<void>(environment.clock.wait(watched, std::min(until, environment.clock.now() + kLookAgain)));
    // POLLHUP: the process that started the guard has ended, perhaps with its session.
    const bool alone = (watched[0].revents & POLLHUP) != 0;
    at_once = (watched[0].revents & POLLIN) != 0 || (alone && !deadline);
    if (alone) now = -1;
  }
  if (!pending.claim()) return GuardOutcome::confirmed;
  ::syslog(LOG_WARNING, "%s; giving the ports back to the kernel",
           deadline ? "the binding was not confirmed" : "the ports are no longer held");
  const auto done = roll_back(environment, rollback);
  if (done) return GuardOutcome::rolled_back;
  ::syslog(LOG_ERR, "%s", done.error().message().c_str());
  return GuardOutcome::failed;
}

Result<GuardProcess> GuardProcess::start(const Environment& environment, const PendingBinding& pending,
                                         const Rollback& rollback, std::optional<Time> deadline) {
  std::array<int, 2> now{-1, -1};
  std::array<int, 2> outcome{-1, -1};
  if (::pipe2(now.data(), O_CLOEXEC) != 0) return fail_errno(ErrorCode::io_error, "cannot make a pipe", errno);
  GuardProcess guard;
  const FileDescriptor read_now(now[0]);
  guard.now_ = FileDescriptor(now[1]);
  if (::pipe2(outcome.data(), O_CLOEXEC) != 0) return fail_errno(ErrorCode::io_error, "cannot make a pipe", errno);
  guard.outcome_ = FileDescriptor(outcome[0]);
  const FileDescriptor write_outcome(outcome[1]);
  // A grandchild: it is adopted by init, so that it is no zombie of a long-lived shell's child.
  // Both keep this process's descriptors.
  const pid_t child = ::_Fork();
  if (child < 0) return fail_errno(ErrorCode::io_error, "cannot start the process that rolls back", errno);
  if (child == 0) {
    const pid_t grandchild = ::_Fork();
    if (grandchild != 0) ::_exit(grandchild < 0 ? 1 : 0);
    ::close(guard.now_.get());
    run_guard(environment, pending, rollback, deadline, read_now.get(), write_outcome.get());
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) return fail(ErrorCode::io_error, "cannot start the process that rolls back", "see `ulimit -u`");
  return guard;
}

GuardOutcome GuardProcess::wait() {
  char result = static_cast<char>(GuardOutcome::failed);
  ssize_t got = 0;
  do {
    got = ::read(outcome_.get(), &result, 1);
  } while (got < 0 && errno == EINTR);
  return got == 1 ? static_cast<GuardOutcome>(result) : GuardOutcome::failed;
}

GuardOutcome GuardProcess::roll_back() {
  const char any = 'r';
  static_cast<void>(!::write(now_.get(), &any, 1));
  return wait();
}

}  // namespace pollux::tool
