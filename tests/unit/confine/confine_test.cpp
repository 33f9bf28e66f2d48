// SPDX-License-Identifier: BSD-3-Clause
// What a process can still do after `confine`: each case tries it in a child.
#include "confine/confine.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/landlock.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <pwd.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace pollux::tool {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

/// What a child said that confined itself, and its status as wait(2) has it.
struct Ended {
  std::string said;
  int status = 0;
};

/// Runs `work` in a child after `confine`. What it returns is said.
Ended confined(const Confinement& needed, const std::function<std::string()>& work) {
  std::array<int, 2> pipe{};
  if (::pipe(pipe.data()) != 0) throw std::runtime_error("no pipe");
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(pipe[1], STDERR_FILENO);
    const auto done = confine(needed, {});
    const std::string said = done ? work() : done.error().message();
    ::_exit(::write(pipe[1], said.data(), said.size()) == static_cast<ssize_t>(said.size()) ? 0 : 1);
  }
  ::close(pipe[1]);
  Ended ended;
  std::array<char, 4096> part{};
  for (ssize_t got = 0; (got = ::read(pipe[0], part.data(), part.size())) > 0;) {
    ended.said.append(part.data(), static_cast<std::size_t>(got));
  }
  ::close(pipe[0]);
  ::waitpid(child, &ended.status, 0);
  return ended;
}

struct Attempt {
  const char* name;
  std::function<long()> call;
  int expected = EPERM;
};

/// The attempts that did not fail as expected.
std::string passed(const std::vector<Attempt>& attempts) {
  std::string all;
  for (const Attempt& attempt : attempts) {
    errno = 0;
    if (attempt.call() == -1 && errno == attempt.expected) continue;
    all += std::string(attempt.name) + " (" + std::to_string(errno) + ") ";
  }
  return all;
}

/// As a child that is made leaves at once.
long made(long child) {
  if (child == 0) ::_exit(0);
  return child;
}

#ifndef POLLUX_SANITIZED  // a sanitized build only logs other calls, and does not restrict files

TEST(Confine, NoNamespacesAndMounts) {
  const auto ended = confined({}, [] {
    std::vector<Attempt> attempts{{"unshare", [] { return ::syscall(SYS_unshare, CLONE_NEWUSER); }},
                                  {"setns", [] { return ::syscall(SYS_setns, -1, 0); }},
                                  {"mount", [] { return ::syscall(SYS_mount, 0, 0, 0, 0, 0); }},
                                  {"umount", [] { return ::syscall(SYS_umount2, 0, 0); }},
                                  {"pivot_root", [] { return ::syscall(SYS_pivot_root, 0, 0); }},
                                  {"chroot", [] { return ::syscall(SYS_chroot, "/"); }},
                                  {"open_tree", [] { return ::syscall(SYS_open_tree, -1, "", 0); }},
                                  {"move_mount", [] { return ::syscall(SYS_move_mount, -1, "", -1, "", 0); }},
                                  {"fsopen", [] { return ::syscall(SYS_fsopen, "tmpfs", 0); }},
                                  {"fsconfig", [] { return ::syscall(SYS_fsconfig, -1, 0, 0, 0, 0); }},
                                  {"fsmount", [] { return ::syscall(SYS_fsmount, -1, 0, 0); }},
                                  {"fspick", [] { return ::syscall(SYS_fspick, -1, "", 0); }},
                                  {"mount_setattr", [] { return ::syscall(SYS_mount_setattr, -1, "", 0, 0, 0); }}};
    for (const int kind :
         {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP}) {
      attempts.push_back({"clone", [kind] { return made(::syscall(SYS_clone, kind | SIGCHLD, 0, 0, 0, 0)); }});
    }
    attempts.push_back({"clone3", [] { return made(::syscall(SYS_clone3, nullptr, 0)); }, ENOSYS});
    return passed(attempts);
  });
  EXPECT_THAT(ended.said, IsEmpty());
}

TEST(Confine, NoOtherProcesses) {
  const pid_t self = ::getpid();
  const auto ended = confined({}, [self] {
    return passed({{"clone", [] { return made(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }},
                   {"fork", [] { return made(::fork()); }},
                   {"kill", [self] { return ::kill(self, 0); }},
                   {"tgkill", [self] { return ::syscall(SYS_tgkill, self, self, 0); }},
                   {"pidfd_open", [self] { return ::syscall(SYS_pidfd_open, self, 0); }},
                   {"pidfd_getfd", [] { return ::syscall(SYS_pidfd_getfd, -1, 0, 0); }},
                   {"pidfd_send_signal", [] { return ::syscall(SYS_pidfd_send_signal, -1, 0, 0, 0); }},
                   {"ptrace", [self] { return ::syscall(SYS_ptrace, 16, -1, 0, 0); }},
                   {"process_vm_readv", [self] { return ::syscall(SYS_process_vm_readv, self, 0, 0, 0, 0, 0); }},
                   {"process_vm_writev", [self] { return ::syscall(SYS_process_vm_writev, self, 0, 0, 0, 0, 0); }},
                   {"process_madvise", [] { return ::syscall(SYS_process_madvise, -1, 0, 0, 0, 0); }},
                   {"kcmp", [self] { return ::syscall(SYS_kcmp, self, self, 0, 0, 0); }},
                   {"prlimit", [self] { return ::syscall(SYS_prlimit64, self, 0, 1, 0); }},
                   {"execve", [] { return ::syscall(SYS_execve, "/none", 0, 0); }},
                   {"execveat", [] { return ::syscall(SYS_execveat, -1, "/none", 0, 0, 0); }}});
  });
  EXPECT_THAT(ended.said, IsEmpty());
}

TEST(Confine, NothingElseOfTheKernel) {
  const auto ended = confined({}, [] {
    return passed({{"bpf", [] { return ::syscall(SYS_bpf, -1, 0, 0); }},
                   {"perf_event_open", [] { return ::syscall(SYS_perf_event_open, 0, 0, 0, 0, 0); }},
                   {"io_uring_setup", [] { return ::syscall(SYS_io_uring_setup, 0, 0); }},
                   {"userfaultfd", [] { return ::syscall(SYS_userfaultfd, -1); }},
                   {"keyctl", [] { return ::syscall(SYS_keyctl, -1, 0, 0, 0, 0); }},
                   {"init_module", [] { return ::syscall(SYS_init_module, 0, 0, 0); }},
                   {"kexec_load", [] { return ::syscall(SYS_kexec_load, 0, 0, 0, -1); }},
                   {"open_by_handle_at", [] { return ::syscall(SYS_open_by_handle_at, -1, 0, 0); }},
                   {"personality", [] { return ::syscall(SYS_personality, 0xFFFFFFFF); }},
                   {"mknodat", [] { return ::syscall(SYS_mknodat, -1, "", 0, 0); }},
                   {"fchmodat", [] { return ::syscall(SYS_fchmodat, -1, "", 0); }},
                   {"fchownat", [] { return ::syscall(SYS_fchownat, -1, "", 0, 0, 0); }},
                   {"mkdirat", [] { return ::syscall(SYS_mkdirat, -1, "", 0); }},
                   {"setuid", [] { return ::syscall(SYS_setuid, 0); }},
                   {"seccomp", [] { return ::syscall(SYS_seccomp, 1, 0, 0); }},
                   {"prctl", [] { return ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); }},
                   {"TIOCSTI", [] { return ::ioctl(-1, TIOCSTI, "x"); }},
                   {"F_SETOWN", [] { return ::fcntl(-1, F_SETOWN, 1); }},
                   {"socket", [] { return ::socket(AF_INET, SOCK_STREAM, 0); }},
                   {"connect", [] { return ::connect(-1, nullptr, 0); }}});
  });
  EXPECT_THAT(ended.said, IsEmpty());
}

TEST(Confine, SocketsOfUnixAlone) {
  const auto ended = confined({.connects = true}, [] {
    if (::socket(AF_UNIX, SOCK_STREAM, 0) < 0) return std::string("no socket of Unix");
    return passed({{"internet", [] { return ::socket(AF_INET, SOCK_STREAM, 0); }},
                   {"bind", [] { return ::bind(-1, nullptr, 0); }},
                   {"packet", [] { return ::socket(AF_PACKET, SOCK_RAW, 0); }},
                   {"netlink", [] { return ::socket(AF_NETLINK, SOCK_RAW, 0); }},
                   {"vsock", [] { return ::socket(AF_VSOCK, SOCK_STREAM, 0); }}});
  });
  EXPECT_THAT(ended.said, IsEmpty());
}

TEST(Confine, InterfacesNeedSocketsOfFewKinds) {
  const auto ended = confined({.opens_interfaces = true}, [] {
    if (::socket(AF_INET, SOCK_DGRAM, 0) < 0) return std::string("no socket of the internet");
    for (const int protocol : {NETLINK_ROUTE, NETLINK_GENERIC}) {
      if (::socket(AF_NETLINK, SOCK_RAW, protocol) < 0) return "no netlink socket " + std::to_string(protocol);
    }
    return passed({{"SIOCOUTQ", [] { return ::ioctl(-1, SIOCOUTQ, nullptr); }, EBADF},
                   {"netfilter", [] { return ::socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER); }},
                   {"audit", [] { return ::socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT); }},
                   {"unix", [] { return ::socket(AF_UNIX, SOCK_STREAM, 0); }},
                   {"vsock", [] { return ::socket(AF_VSOCK, SOCK_STREAM, 0); }},
                   {"SIOCSIFFLAGS", [] { return ::ioctl(-1, SIOCSIFFLAGS, nullptr); }},
                   {"setns", [] { return ::syscall(SYS_setns, -1, 0); }},
                   {"mount", [] { return ::syscall(SYS_mount, 0, 0, 0, 0, 0); }},
                   {"connect", [] { return ::connect(-1, nullptr, 0); }}});
  });
  EXPECT_THAT(ended.said, IsEmpty());
}

TEST(Confine, ItsListIsToldToWhomWantsIt) {
  ::setenv("POLLUX_CONFINEMENT", "trap", 1);
  const auto ended = confined({}, [] { return std::to_string(::syscall(SYS_unshare, 0)); });
  ::unsetenv("POLLUX_CONFINEMENT");
  EXPECT_EQ(ended.said, "pollux: the system call unshare is not in its list\n");
  EXPECT_TRUE(WIFEXITED(ended.status) && WEXITSTATUS(ended.status) == 128 + SIGSYS);
}

/// A folder with three files; the last one may be removed.
struct ConfinedFiles : testing::Test {
  ConfinedFiles() {
    std::string name = testing::TempDir() + "plx-confine-XXXXXX";
    folder = ::mkdtemp(name.data());
    std::filesystem::create_directory(folder / "own");
    for (const char* file : {"secret", "config", "own/a.sock"}) std::ofstream(folder / file) << "x";
  }
  ~ConfinedFiles() override { std::filesystem::remove_all(folder); }
  void SetUp() override {
    if (::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) <= 0) {
      GTEST_SKIP() << "this kernel has no Landlock";
    }
  }

  std::filesystem::path folder;
};

TEST_F(ConfinedFiles, AreThoseThatItNamed) {
  const auto ended = confined({.read = {folder / "config"}, .removed = {folder / "own/a.sock"}}, [this] {
    const auto open = [this](const char* name, int flags) {
      return [path = folder / name, flags]() -> long { return ::open(path.c_str(), flags, 0600); };
    };
    std::string wrong = passed({{"reads", open("secret", O_RDONLY), EACCES},
                                {"writes", open("config", O_WRONLY), EACCES},
                                {"makes", open("new", O_WRONLY | O_CREAT), EACCES},
                                {"makes where it removes", open("own/new", O_WRONLY | O_CREAT), EACCES},
                                {"lists", open(".", O_RDONLY | O_DIRECTORY), EACCES},
                                {"removes", [this] { return ::unlink((folder / "secret").c_str()); }, EACCES}});
    if (::open((folder / "config").c_str(), O_RDONLY) < 0) wrong += "cannot read what it named ";
    if (::unlink((folder / "own/a.sock").c_str()) != 0) wrong += "cannot remove what it named ";
    return wrong;
  });
  EXPECT_THAT(ended.said, IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(folder / "own/a.sock"));
}

TEST_F(ConfinedFiles, AbstractSocketsOfOthersAreNone) {
  if (::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) < 6)
    GTEST_SKIP() << "this kernel's Landlock has no scopes";
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  const std::string name = folder.string();
  name.copy(&address.sun_path[1], sizeof address.sun_path - 1);
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::bind(listener, generic, sizeof address), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  const auto ended = confined({.connects = true}, [&] {
    return passed(
        {{"connects", [&] { return ::connect(::socket(AF_UNIX, SOCK_STREAM, 0), generic, sizeof address); }}});
  });
  ::close(listener);
  EXPECT_THAT(ended.said, IsEmpty());
}

TEST_F(ConfinedFiles, AreNotTheMemoryOfOthers) {
  const auto memory = [](pid_t process) { return "/proc/" + std::to_string(process) + "/mem"; };
  const auto ended = confined({.read = {"/proc"}}, [&, parent = ::getpid()] {
    return passed({{"reads", [&] { return ::open(memory(parent).c_str(), O_RDONLY); }, EACCES},
                   {"writes", [&] { return ::open(memory(parent).c_str(), O_RDWR); }, EACCES},
                   {"writes its own", [&] { return ::open("/proc/self/mem", O_RDWR); }, EACCES}});
  });
  EXPECT_THAT(ended.said, IsEmpty());
}

#endif

TEST(Confine, LeavesWhatProgramsNeed) {
  const auto ended = confined({}, [] {
    std::string wrong;
    std::thread([&] {
      try {
        throw std::runtime_error("x");
      } catch (const std::exception& error) {
        wrong += error.what();
      }
    }).join();
    if (wrong != "x") return std::string("no thread or exception");
    const int event = ::eventfd(1, EFD_CLOEXEC);
    std::uint64_t value = 0;
    if (::read(event, &value, sizeof value) != sizeof value || value != 1) return std::string("no eventfd");
    void* const memory = ::mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return std::string("no memory");
    std::tm parts{};
    const std::time_t now = 0;
    if (::localtime_r(&now, &parts) == nullptr) return std::string("no time");
    if (::getpwuid(0) == nullptr) return std::string("no users");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return std::string();
  });
  EXPECT_THAT(ended.said, IsEmpty());
  EXPECT_EQ(ended.status, 0);
}

}  // namespace
}  // namespace pollux::tool
