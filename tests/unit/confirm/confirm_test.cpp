// SPDX-License-Identifier: BSD-3-Clause
// A binding that waits for its confirmation: the file that stands for it, the guard's process, the command.
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/cli.hpp"

#include <csignal>
#include <filesystem>
#include <utility>

#include "commands.hpp"
#include "confirm/confirmed_bind.hpp"
#include "fixture.hpp"

namespace pollux::tool {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;

struct Pending : Machine {};

TEST_F(Pending, CanBeConfirmedOnce) {
  const auto pending = PendingBinding::create(machine.paths);
  ASSERT_TRUE(pending) << pending.error().message();
  EXPECT_TRUE(pending->waits());
  EXPECT_TRUE(PendingBinding::confirm(machine.paths));
  EXPECT_FALSE(pending->waits());
  EXPECT_FALSE(pending->claim()) << "it was confirmed";
  const auto again = PendingBinding::confirm(machine.paths);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::not_found);
}

TEST_F(Pending, CannotBeConfirmedOnceItIsRolledBack) {
  const auto pending = PendingBinding::create(machine.paths);
  EXPECT_TRUE(pending->claim());
  EXPECT_FALSE(PendingBinding::confirm(machine.paths));
}

TEST_F(Pending, IsTheOnlyOne) {
  {
    const auto pending = PendingBinding::create(machine.paths);
    const auto other = PendingBinding::create(machine.paths);
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, ErrorCode::busy);
    EXPECT_THAT(other.error().hint, HasSubstr("pollux bind --confirmed"));
  }
  EXPECT_TRUE(PendingBinding::create(machine.paths)) << "the other has ended";
}

TEST_F(Pending, IsNotMadeWhereOthersMayWrite) {
  namespace fs = std::filesystem;
  const fs::path directory = machine.paths.run / "pollux/confirm";
  fs::create_directories(directory);
  machine.write(machine.paths.run / "victim", "text");
  fs::create_symlink(machine.paths.run / "victim", directory / "pending");
  EXPECT_FALSE(PendingBinding::create(machine.paths)) << "a link";
  EXPECT_EQ(machine.read(machine.paths.run / "victim"), "text");
  fs::remove(directory / "pending");
  fs::permissions(directory, fs::perms::all);
  const auto made = PendingBinding::create(machine.paths);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::permission_denied);
  EXPECT_THAT(made.error().what, HasSubstr(directory.string()));
  EXPECT_FALSE(PendingBinding::confirm(machine.paths));
}

/// Real time and real processes. Nothing is bound, so the roll-back only restores the interface.
struct ConfirmedBind : Machine {
  ConfirmedBind() {
    actions.restore = [file = machine.paths.run / "restored", this](const host::InterfaceBackup& backup,
                                                                    const std::string&) -> Result<void> {
      machine.write(file, backup.name);
      return {};
    };
    EXPECT_EQ(::pipe(keyboard.data()), 0);
  }
  ~ConfirmedBind() override {
    for (const int end : keyboard) ::close(end);
  }
  Environment real() { return {machine.paths, clock, network, {}, {}, out, err, context}; }
  int run(const Environment& with, Duration limit, int exit_code = kSuccess) {
    return bind_with_confirmation(with, {port}, {}, limit, actions, [=] { return exit_code; });
  }
  [[nodiscard]] bool is_restored() const { return machine.read(machine.paths.run / "restored") == "eth1"; }

  SteadyClock clock;
  std::array<int, 2> keyboard{};
};

TEST_F(ConfirmedBind, EnterKeepsThePorts) {
  Environment with = real();
  with.terminal = keyboard[0];
  ASSERT_EQ(::write(keyboard[1], "\n", 1), 1);
  EXPECT_EQ(run(with, seconds(30)), kSuccess) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("confirmed: the ports stay bound"));
  EXPECT_FALSE(is_restored());
}

TEST_F(ConfirmedBind, WithoutEnterTheyAreGivenBack) {
  Environment with = real();
  with.terminal = keyboard[0];
  ASSERT_EQ(::write(keyboard[1], "n", 1), 1);
  EXPECT_EQ(run(with, milliseconds(200)), kFailure);
  EXPECT_THAT(err.str(), HasSubstr("not confirmed: the ports are as before"));
  EXPECT_TRUE(is_restored());
}

TEST_F(ConfirmedBind, AnEnterBeforeTheQuestionConfirmsNothing) {
  int user = -1;
  int terminal = -1;
  ASSERT_EQ(::openpty(&user, &terminal, nullptr, nullptr, nullptr), 0);
  Environment with = real();
  with.terminal = terminal;
  ASSERT_EQ(::write(user, "\n", 1), 1);
  pollfd typed{terminal, POLLIN, 0};
  ASSERT_EQ(::poll(&typed, 1, 5000), 1);
  EXPECT_EQ(run(with, milliseconds(200)), kFailure);
  EXPECT_TRUE(is_restored());
  ::close(user);
  ::close(terminal);
}

TEST_F(ConfirmedBind, ATerminalThatIsGoneConfirmsNothing) {
  Environment with = real();
  with.terminal = keyboard[0];
  ::close(keyboard[1]);
  keyboard[1] = -1;
  EXPECT_EQ(run(with, milliseconds(200)), kFailure);
  EXPECT_TRUE(is_restored());
}

TEST_F(ConfirmedBind, AFailedBindIsRolledBackAtOnce) {
  EXPECT_EQ(run(real(), seconds(30), kUsage), kUsage);
  EXPECT_TRUE(is_restored());
}

TEST_F(ConfirmedBind, WithoutATerminalItReturnsAndTheGuardStays) {
  // A process that ends right after the bind, as the one that a lost session kills.
  const pid_t child = ::fork();
  if (child == 0) ::_exit(run(real(), milliseconds(300)));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(wait_until(
      clock, "the roll-back", seconds(20), [&] { return is_restored(); }, milliseconds(10)));
}

struct HeldBind : ConfirmedBind {
  int hold(int exit_code = kSuccess) {
    return bind_and_hold(real(), {port}, {}, keyboard[0], actions, [=, this] {
      machine.write(machine.paths.run / "bound", "");
      return exit_code;
    });
  }
  void end_input() { ::close(std::exchange(keyboard[1], -1)); }
  [[nodiscard]] bool is_held() const { return std::filesystem::exists(machine.paths.run / "bound") && !is_restored(); }
  template <class Condition>
  bool happens(Condition condition) {
    return wait_until(clock, "it", seconds(20), condition, milliseconds(10)).has_value();
  }
  /// Calls `action` in another process, which ends with its result.
  template <class Action>
  static pid_t meanwhile(Action action) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(action());
    return child;
  }
  static int status_of(pid_t child) {
    int status = -1;
    ::waitpid(child, &status, 0);
    return status;
  }
};

TEST_F(HeldBind, LastsAsLongAsItsInput) {
  ASSERT_EQ(::write(keyboard[1], "\n", 1), 1);
  // The input ends with the process.
  const pid_t other = meanwhile([this] {
    if (!happens([this] { return is_held(); })) return 1;
    clock.sleep_for(milliseconds(300));
    return is_held() ? 0 : 2;
  });
  end_input();
  EXPECT_EQ(hold(), kSuccess) << err.str();
  EXPECT_EQ(status_of(other), 0) << "an Enter neither ends it nor confirms it";
  EXPECT_THAT(out.str(), AllOf(HasSubstr("given back when standard input ends"), HasSubstr("the ports are as before")));
  EXPECT_TRUE(is_restored());
}

TEST_F(HeldBind, IsGivenBackWhenItsProcessIsKilled) {
  const pid_t holder = meanwhile([this] { return hold(); });
  ASSERT_TRUE(happens([this] { return is_held(); }));
  ::kill(holder, SIGKILL);
  status_of(holder);
  EXPECT_TRUE(happens([this] { return is_restored(); }));
}

TEST_F(HeldBind, StaysIfItIsConfirmed) {
  const pid_t other = meanwhile(
      [this] { return happens([this] { return PendingBinding::confirm(machine.paths).has_value(); }) ? 0 : 1; });
  EXPECT_EQ(hold(), kSuccess);
  EXPECT_EQ(status_of(other), 0);
  EXPECT_THAT(out.str(), HasSubstr("confirmed: the ports stay bound"));
  EXPECT_FALSE(is_restored());
}

TEST_F(HeldBind, ThatFailsIsRolledBackAtOnce) {
  EXPECT_EQ(hold(kUsage), kUsage);
  EXPECT_TRUE(is_restored());
}

TEST_F(HeldBind, SaysWhatIsNotAsBefore) {
  actions.restore = [](const host::InterfaceBackup&, const std::string&) -> Result<void> {
    return fail(ErrorCode::io_error, "the route was rejected");
  };
  end_input();
  EXPECT_EQ(hold(), kFailure);
  EXPECT_THAT(err.str(), HasSubstr("not everything is as before"));
}

TEST_F(ConfirmedBind, TheCommandChecksItsArguments) {
  int exit_code = kSuccess;
  cli::App app("", "pollux");
  add_bind(app, environment, exit_code);
  for (const char* wrong :
       {"bind", "bind --hold", "bind --confirm 0 0000:01:00.0", "bind --confirm 3601 0000:01:00.0",
        "bind --confirmed 0000:01:00.0", "bind --hold --confirm 5 0000:01:00.0", "bind --hold --confirmed"}) {
    EXPECT_EQ(app.parse(wrong, out, err), cli::kUsageError) << wrong;
  }
  EXPECT_EQ(app.parse("bind --confirmed", out, err), std::nullopt);
  EXPECT_EQ(exit_code, kFailure);
  EXPECT_THAT(err.str(), HasSubstr("no binding waits"));
  ASSERT_TRUE(PendingBinding::create(machine.paths));
  EXPECT_EQ(app.parse("bind --confirmed", out, err), std::nullopt);
  EXPECT_EQ(exit_code, kSuccess);
}

}  // namespace
}  // namespace pollux::tool
