// SPDX-License-Identifier: BSD-3-Clause
// The roll-back, and the guard that decides on it.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "fixture.hpp"

namespace pollux::tool {
namespace {

using std::chrono::seconds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

struct RollbackCase : Machine {};
struct Guard : Machine {
  GuardOutcome guard(int now = -1, std::optional<Duration> limit = seconds(2)) {
    const auto rollback = prepare();
    EXPECT_TRUE(rollback);
    bind();
    start = machine.clock.now();
    const auto deadline = limit ? std::optional(start + *limit) : std::nullopt;
    return guard_binding(environment, *pending, *rollback, deadline, now);
  }
  Result<PendingBinding> pending = PendingBinding::create(machine.paths);
  Duration start{};
};

TEST_F(RollbackCase, GivesPortsBackWithTheirInterfaces) {
  const auto rollback = prepare();
  ASSERT_TRUE(rollback) << rollback.error().message();
  bind();
  EXPECT_TRUE(rollback->run(environment));
  EXPECT_EQ(machine.driver_of(port), "igb");
  EXPECT_THAT(events, ElementsAre("restore eth1 as eth1"));
}

TEST_F(RollbackCase, LeavesAPortAloneThatWasBoundBefore) {
  bind();
  EXPECT_TRUE(prepare()->run(environment));
  EXPECT_EQ(machine.driver_of(port), "vfio-pci");
  EXPECT_THAT(events, IsEmpty());
}

TEST_F(RollbackCase, RestoresTheInterfacesAlsoIfNothingWasBound) {
  EXPECT_TRUE(prepare()->run(environment));
  EXPECT_THAT(events, ElementsAre("restore eth1 as eth1"));
}

TEST_F(RollbackCase, FindsAnInterfaceThatHasAnotherNameNow) {
  const auto rollback = prepare();
  bind();
  std::filesystem::rename(machine.device(port) / "net/eth1", machine.device(port) / "net/enp1s0");
  EXPECT_TRUE(rollback->run(environment));
  EXPECT_THAT(events, ElementsAre("restore eth1 as enp1s0"));
}

TEST_F(RollbackCase, ReportsAnInterfaceThatDoesNotComeBack) {
  const auto rollback = prepare();
  bind();
  std::filesystem::remove_all(machine.device(port) / "net/eth1");
  const auto done = rollback->run(environment);
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().what, AllOf(HasSubstr("0000:01:00.0"), HasSubstr("no interface again")));
}

TEST_F(RollbackCase, ReportsWhatCannotBeRestored) {
  const auto rollback = prepare();
  restored = fail(ErrorCode::io_error, "the route was rejected");
  const auto done = rollback->run(environment);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().what, "the route was rejected");
}

TEST_F(RollbackCase, RestoresTheInterfacesAlsoIfTheUnbindCouldNot) {
  const auto rollback = prepare();
  bind();
  network.restoring_fails = Error{ErrorCode::io_error, "192.0.2.7/24: no", "see dmesg"};
  const auto done = rollback->run(environment);
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().what, HasSubstr("192.0.2.7/24: no"));
  EXPECT_THAT(events, ElementsAre("restore eth1 as eth1"));
  EXPECT_EQ(machine.driver_of(port), "igb");
}

TEST_F(RollbackCase, EndsAProcessThatHasThePortOpen) {
  const auto rollback = prepare();
  bind();
  machine.add_process(42, "l2fwd", machine.paths.dev / "vfio/7");
  deadly = 9;
  EXPECT_TRUE(rollback->run(environment));
  EXPECT_THAT(events, ElementsAre("kill 42 by 15", "kill 42 by 9", "restore eth1 as eth1"));
  EXPECT_EQ(machine.driver_of(port), "igb");
}

// Processes that a process starts have its open files, too.
TEST_F(RollbackCase, EndsAllProcessesThatHaveThePortOpen) {
  const auto rollback = prepare();
  bind();
  for (int process = 42; process < 46; ++process) machine.add_process(process, "l2fwd", machine.paths.dev / "vfio/7");
  EXPECT_TRUE(rollback->run(environment));
  EXPECT_THAT(events, UnorderedElementsAre("kill 42 by 15", "kill 43 by 15", "kill 44 by 15", "kill 45 by 15",
                                           "restore eth1 as eth1"));
  EXPECT_EQ(machine.driver_of(port), "igb");
}

// While the files of other processes are looked at, a holder may end and its number become another process's.
TEST_F(RollbackCase, ANumberThatHasBecomeAnotherProcessIsNotSignalled) {
  std::vector<bool> meant;
  actions.kill = [&](int process, int /*signal*/, const std::function<bool()>& is_meant) {
    meant.push_back(is_meant());
    std::filesystem::remove_all(machine.paths.proc / std::to_string(process));
    machine.add_process(process, "sshd", machine.paths.dev / "vfio/8");
    meant.push_back(is_meant());
  };
  const auto rollback = prepare();
  bind();
  machine.add_process(42, "l2fwd", machine.paths.dev / "vfio/7");
  EXPECT_TRUE(rollback->run(environment));
  EXPECT_THAT(meant, ElementsAre(true, false));
}

TEST(SignalIf, SignalsOnlyWhoIsMeant) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  ASSERT_GT(child, 0);
  signal_if(child, SIGKILL, [] { return false; });
  signal_if(child, SIGTERM, [] { return true; });
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
}

TEST_F(RollbackCase, RefusesWhatWouldBeLostForGood) {
  host::NetworkNamespace& own = network.state.namespaces[0];
  own.links.push_back({.index = 3, .name = "eth1.5", .kind = "vlan", .lower = 2});
  own.addresses.push_back({3, host::test::prefix("192.0.2.7/24")});
  const auto rollback = prepare();
  ASSERT_FALSE(rollback);
  EXPECT_EQ(rollback.error().code, ErrorCode::not_supported);
  EXPECT_THAT(rollback.error().what, HasSubstr("eth1.5 is stacked on eth1"));
  EXPECT_THAT(rollback.error().hint, HasSubstr("ip link del eth1.5"));
}

TEST_F(RollbackCase, RefusesAPppoeSession) {
  network.state.namespaces[0].pppoe = {"eth1"};
  const auto rollback = prepare();
  ASSERT_FALSE(rollback);
  EXPECT_THAT(rollback.error().what, HasSubstr("eth1 carries a PPPoE session"));
}

TEST_F(RollbackCase, AllowsASessionAndABridge) {
  host::NetworkNamespace& own = network.state.namespaces[0];
  own.links[1].master = 9;
  own.links.push_back({.index = 9, .name = "br0", .kind = "bridge"});
  own.addresses.push_back({2, host::test::prefix("192.0.2.7/24")});
  own.connections = {host::test::prefix("192.0.2.7/32")};
  EXPECT_TRUE(prepare());
}

TEST_F(RollbackCase, RefusesAPortWhoseVirtualFunctionsAreUsed) {
  machine.add_function(port, {.address = "0000:01:10.0", .driver = "igbvf", .group = 9});
  EXPECT_TRUE(prepare()) << "nobody uses it";
  host::NetworkNamespace& own = network.state.namespaces[0];
  own.links.push_back({.index = 3, .name = "eth1v0", .parent_device = "0000:01:10.0"});
  own.addresses.push_back({3, host::test::prefix("192.0.2.7/24")});
  const auto rollback = prepare();
  ASSERT_FALSE(rollback);
  EXPECT_EQ(rollback.error().code, ErrorCode::not_supported);
  EXPECT_THAT(rollback.error().what,
              AllOf(HasSubstr("eth1v0 has the address 192.0.2.7/24"), HasSubstr("0000:01:10.0")));
  EXPECT_THAT(rollback.error().hint, HasSubstr("0000:01:00.0/sriov_numvfs"));
}

TEST_F(Guard, RollsBackWhenTheTimeIsOver) {
  EXPECT_EQ(guard(), GuardOutcome::rolled_back);
  EXPECT_EQ(machine.driver_of(port), "igb");
  EXPECT_GE(machine.clock.now() - start, seconds(2));
  EXPECT_FALSE(PendingBinding::confirm(machine.paths)) << "it is too late";
}

TEST_F(Guard, LeavesWhatIsConfirmed) {
  machine.clock.follow([this](Duration now) {
    if (now - start <= seconds(1) || !pending->waits()) return;
    EXPECT_TRUE(PendingBinding::confirm(machine.paths));
  });
  EXPECT_EQ(guard(), GuardOutcome::confirmed);
  EXPECT_EQ(machine.driver_of(port), "vfio-pci");
  EXPECT_LT(machine.clock.now() - start, seconds(2));
  EXPECT_THAT(events, IsEmpty());
}

TEST_F(Guard, RollsBackAtOnceIfAsked) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  ASSERT_EQ(::write(pipe[1], "r", 1), 1);
  EXPECT_EQ(guard(pipe[0]), GuardOutcome::rolled_back);
  EXPECT_LT(machine.clock.now() - start, seconds(1));
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST_F(Guard, GoesOnWhenTheProcessThatStartedItEnds) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  ::close(pipe[1]);
  EXPECT_EQ(guard(pipe[0]), GuardOutcome::rolled_back);
  EXPECT_GE(machine.clock.now() - start, seconds(2));
  ::close(pipe[0]);
}

TEST_F(Guard, WithoutADeadlineRollsBackWhenTheProcessThatStartedItEnds) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  machine.clock.follow([&](Duration now) {
    if (start != Duration{} && now - start > seconds(20) && pipe[1] >= 0) ::close(std::exchange(pipe[1], -1));
  });
  EXPECT_EQ(guard(pipe[0], std::nullopt), GuardOutcome::rolled_back);
  EXPECT_GE(machine.clock.now() - start, seconds(20));
  EXPECT_LT(machine.clock.now() - start, seconds(30));
  EXPECT_EQ(machine.driver_of(port), "igb");
  ::close(pipe[0]);
}

TEST_F(Guard, WaitsForAnotherCommandThatChangesBindings) {
  const std::string file = machine.paths.run / "pollux/lock";
  int lock = -1;
  machine.clock.follow([&](Duration now) {
    if (start == Duration{}) return;
    if (lock < 0 && now - start < seconds(1)) {
      lock = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
      EXPECT_EQ(::flock(lock, LOCK_EX | LOCK_NB), 0);
    }
    if (lock >= 0 && now - start > seconds(12)) ::close(std::exchange(lock, -1));
  });
  EXPECT_EQ(guard(), GuardOutcome::rolled_back);
  EXPECT_EQ(machine.driver_of(port), "igb");
  EXPECT_THAT(events, ElementsAre("restore eth1 as eth1"));
  EXPECT_GE(machine.clock.now() - start, seconds(12));
}

TEST_F(Guard, SaysThatARollbackFailed) {
  restored = fail(ErrorCode::io_error, "the route was rejected");
  EXPECT_EQ(guard(), GuardOutcome::failed);
}

}  // namespace
}  // namespace pollux::tool
