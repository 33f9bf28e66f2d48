// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/launch.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <set>
#include <sstream>
#include <string>
#include <thread>

namespace pollux::qtest {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr milliseconds kLong{60000};

Process shell(const std::string& script, const std::vector<int>& inherited = {}) {
  auto started = Process::start({"/bin/sh", "-c", script}, inherited);
  EXPECT_TRUE(started) << started.error().message();
  return std::move(started).value_or(Process());
}

bool exists(pid_t pid) { return ::kill(pid, 0) == 0; }

/// Waits until process `pid` no longer exists. False if it still exists after a minute.
bool vanishes(pid_t pid) {
  for (int i = 0; i < 6000 && exists(pid); ++i) std::this_thread::sleep_for(milliseconds(10));
  return !exists(pid);
}

TEST(Process, ReportsItsExitStatusAndOutput) {
  Process process = shell("echo out; echo err >&2; exit 7");
  ASSERT_TRUE(process.wait(kLong));
  EXPECT_EQ(process.exit_text(), "exit status 7");
  EXPECT_EQ(process.last_output(), "out\nerr");
}

TEST(Process, KeepsOnlyTheEndOfALongOutput) {
  Process process = shell("i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done");
  ASSERT_TRUE(process.wait(kLong));
  EXPECT_LE(process.last_output().size(), 1500u);
  EXPECT_THAT(process.last_output(), testing::EndsWith("line 1999"));
}

TEST(Process, IsKilledEvenWhenItIsStopped) {
  Process process = shell("kill -STOP $$; exit 1");
  EXPECT_FALSE(process.wait(milliseconds(20)));
  EXPECT_EQ(process.exit_text(), "still running");
  process.kill();
  ASSERT_TRUE(process.wait(kLong));
  EXPECT_THAT(process.exit_text(), HasSubstr("signal 9"));
}

TEST(Process, EndsWithTheObjectAndLeavesNoZombie) {
  pid_t pid = 0;
  {
    const Process process = shell("sleep 1000");
    pid = process.pid();
    EXPECT_TRUE(exists(pid));
  }
  EXPECT_FALSE(exists(pid));
}

TEST(Process, EndsWithTheProcessThatStartedIt) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const pid_t host = ::fork();
  if (host == 0) {
    const auto process = Process::start({"/bin/sh", "-c", "trap '' HUP TERM; while :; do sleep 1000; done"}, {});
    const pid_t pid = process ? process->pid() : 0;
    static_cast<void>(!::write(pipe[1], &pid, sizeof pid));
    ::kill(::getpid(), SIGKILL);
  }
  ::close(pipe[1]);
  pid_t pid = 0;
  ASSERT_EQ(::read(pipe[0], &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
  ::close(pipe[0]);
  ASSERT_EQ(::waitpid(host, nullptr, 0), host);
  ASSERT_GT(pid, 0);
  EXPECT_TRUE(vanishes(pid));
}

// Whichever descriptor is the first that cannot be had.
TEST(Process, LeavesNoZombieWithoutDescriptors) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  // A sanitizer needs descriptors, too, when it sees for the first time what makes the text of an error.
  ASSERT_FALSE(Process::start({"/no/such/program"}, {}));
  const int first = ::dup(0);
  ::close(first);
  bool started = false;
  for (int more = 1; more <= 16; ++more) {
    const rlimit few{static_cast<rlim_t>(first + more), before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    const auto process = Process::start({"/bin/sleep", "1000"}, {});
    started = process.has_value();
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  }
  EXPECT_TRUE(started) << "with sixteen there are enough";
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "there are no children";
}

TEST(Process, OutlivesTheThreadThatStartedIt) {
  Process process;
  std::thread([&] { process = shell("sleep 1000"); }).join();
  EXPECT_FALSE(process.wait(milliseconds(50)));
  EXPECT_TRUE(exists(process.pid()));
}

TEST(Process, HasItsOwnGroupAndNoSignalsBlockedOrIgnored) {
  sigset_t blocked;
  sigset_t before;
  ::sigfillset(&blocked);
  ::pthread_sigmask(SIG_SETMASK, &blocked, &before);
  const auto old = ::signal(SIGUSR1, SIG_IGN);
  // proc(5): the fifth word of stat is the group.
  Process process =
      shell("grep -E 'SigBlk|SigIgn' /proc/self/status; read -r _ _ _ _ group _ </proc/$$/stat; echo \"$group\"");
  ::signal(SIGUSR1, old);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(process.wait(kLong));
  EXPECT_THAT(process.last_output(), HasSubstr("SigBlk:\t0000000000000000"));
  EXPECT_THAT(process.last_output(), HasSubstr("SigIgn:\t0000000000000000"));
  EXPECT_THAT(process.last_output(), testing::EndsWith("\n" + std::to_string(process.pid())));
}

TEST(Process, InheritsOnlyTheGivenDescriptors) {
  const int given = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int hosts = ::open("/dev/null", O_RDONLY);  // not close-on-exec
  // The shell lists them itself: another program would add a descriptor for the directory.
  Process process =
      shell("cd /proc/$$/fd && for each in *; do [ -e $each ] && echo $each $(readlink $each); done", {given});
  ASSERT_TRUE(process.wait(kLong));
  std::set<std::string> descriptors;
  std::istringstream words(process.last_output());
  for (std::string number, what; words >> number && std::getline(words, what);) {
    // The pipe whose closing ends the child, see EndsWithTheProcessThatStartedIt.
    descriptors.insert(what.starts_with(" pipe:") ? "lifetime" : number);
  }
  EXPECT_EQ(descriptors, (std::set<std::string>{"0", "1", "2", std::to_string(given), "lifetime"}));
  ::close(given);
  ::close(hosts);
}

TEST(Process, NamesAProgramThatCannotBeRun) {
  const auto missing = Process::start({"/no/such/program"}, {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_THAT(missing.error().what, HasSubstr("/no/such/program"));
  EXPECT_EQ(Process::start({"/etc/passwd"}, {}).error().code, ErrorCode::permission_denied);
}

TEST(Process, ToleratesAHostThatWaitsForEveryChild) {
  Process process = shell("exit 3");
  ASSERT_EQ(::waitpid(-1, nullptr, 0), process.pid());
  EXPECT_TRUE(process.wait(kLong));
  EXPECT_EQ(process.exit_text(), "ended");
}

TEST(FindProgram, SearchesInPathOrAcceptsAPath) {
  EXPECT_THAT(find_program("sh").value(), testing::EndsWith("/sh"));
  EXPECT_EQ(find_program("/bin/sh").value(), "/bin/sh");
  EXPECT_EQ(find_program("/no/sh").error().code, ErrorCode::not_found);
  const auto missing = find_program("no-such-qemu");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_THAT(missing.error().hint, HasSubstr("qemu=PATH"));
}

}  // namespace
}  // namespace pollux::qtest
