// SPDX-License-Identifier: BSD-3-Clause
#include "confine/system_calls.hpp"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string_view>

namespace pollux::tool {
namespace {

#ifdef POLLUX_SANITIZED
constexpr std::uint32_t kOtherCalls = SCMP_ACT_LOG;  // sanitizers make calls of their own
#else
constexpr std::uint32_t kOtherCalls = SCMP_ACT_ERRNO(EPERM);
#endif

/// What the servers and the C and C++ libraries need. Names that an architecture or a version of libseccomp does not
/// know are left out; some are here because other architectures and versions of the C library make these calls in place
/// of others. Calls with arguments that are checked are in `add_checked_calls`.
constexpr const char* kCalls[] = {
    // memory
    "brk", "mmap", "mmap2", "munmap", "mremap", "mprotect", "madvise", "mincore", "membarrier", "memfd_create",
    // threads
    "exit", "exit_group", "futex", "futex_time64", "futex_waitv", "futex_wait", "futex_wake", "futex_requeue",
    "set_robust_list", "get_robust_list", "set_tid_address", "rseq", "gettid", "getpid", "getppid", "sched_yield",
    "sched_getaffinity", "sched_getparam", "sched_getscheduler", "getcpu", "riscv_flush_icache", "riscv_hwprobe",
    // signals
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64",
    "rt_sigpending", "sigaltstack", "sigreturn", "pause", "restart_syscall", "signalfd4",
    // time
    "clock_gettime", "clock_gettime64", "clock_getres", "clock_getres_time64", "clock_nanosleep",
    "clock_nanosleep_time64", "nanosleep", "gettimeofday", "time", "timerfd_create", "timerfd_settime",
    "timerfd_settime64", "timerfd_gettime", "timerfd_gettime64",
    // who and where this process is
    "getuid", "getuid32", "geteuid", "geteuid32", "getgid", "getgid32", "getegid", "getegid32", "getresuid",
    "getresgid", "uname", "getrandom", "sysinfo", "getrlimit", "ugetrlimit", "getrusage", "times", "getcwd", "umask",
    // open files
    "read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev", "pwritev2", "close",
    "close_range", "lseek", "_llseek", "fstat", "fstat64", "fstatfs", "fstatfs64", "dup", "dup2", "dup3", "fsync",
    "fdatasync", "ftruncate", "ftruncate64", "fallocate", "fadvise64", "fadvise64_64", "getdents", "getdents64",
    "pipe2", "eventfd2", "splice",
    // files by name, which Landlock restricts
    "open", "openat", "openat2", "stat", "stat64", "lstat", "lstat64", "newfstatat", "fstatat64", "statx", "statfs",
    "statfs64", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "unlink", "unlinkat",
    // waiting
    "poll", "ppoll", "ppoll_time64", "select", "_newselect", "pselect6", "pselect6_time64", "epoll_create",
    "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "io_setup", "io_submit", "io_getevents",
    "io_pgetevents", "io_cancel", "io_destroy",
    // sockets that are there
    "accept", "accept4", "recv", "recvfrom", "recvmsg", "recvmmsg", "recvmmsg_time64", "send", "sendto", "sendmsg",
    "sendmmsg", "getsockopt", "setsockopt", "getsockname", "getpeername", "shutdown"};

constexpr const char* kInterfaceCalls[] = {"bpf", "bind", "socketpair", "flock"};
constexpr int kInterfaceFamilies[] = {AF_INET, AF_PACKET, AF_XDP};

class Filter {
 public:
  explicit Filter(std::uint32_t other_calls) : filter_(::seccomp_init(other_calls), ::seccomp_release) {
    done_ = filter_ != nullptr && ::seccomp_attr_set(filter_.get(), SCMP_FLTATR_CTL_LOG, 1) == 0;
  }
  void allow(const char* name) { allow(name, std::initializer_list<scmp_arg_cmp>{}); }
  /// Allows the call if all `tests` hold of its arguments.
  void allow(const char* name, std::initializer_list<scmp_arg_cmp> tests) { add(SCMP_ACT_ALLOW, name, tests); }
  void allow(const char* name, scmp_arg_cmp test) { allow(name, {test}); }
  void refuse(const char* name, int error) { add(SCMP_ACT_ERRNO(static_cast<unsigned>(error)), name, {}); }
  [[nodiscard]] bool load() const { return done_ && ::seccomp_load(filter_.get()) == 0; }

 private:
  void add(std::uint32_t action, const char* name, std::initializer_list<scmp_arg_cmp> tests) {
    const int call = ::seccomp_syscall_resolve_name(name);
    if (!done_ || call == __NR_SCMP_ERROR) return;
    const int failed =
        ::seccomp_rule_add_array(filter_.get(), action, call, static_cast<unsigned>(tests.size()), tests.begin());
    done_ = failed == 0;
  }

  std::unique_ptr<void, void (*)(void*)> filter_;
  bool done_ = false;
};

scmp_arg_cmp equals(unsigned argument, std::uint64_t value) { return {argument, SCMP_CMP_EQ, value, 0}; }

/// Equality of the 32 bits that the kernel reads of an int.
scmp_arg_cmp int_equals(unsigned argument, std::uint32_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, 0xFFFFFFFF, value};
}

using Values = std::initializer_list<std::uint32_t>;

void add_checked_calls(Filter& filter) {
  constexpr std::uint64_t kNewNamespaces =
      CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
#ifdef __s390x__
  constexpr unsigned kFlags = 1;
#else
  constexpr unsigned kFlags = 0;
#endif
  constexpr std::uint64_t kThread = CLONE_VM | CLONE_THREAD;
  filter.allow("clone", scmp_arg_cmp{kFlags, SCMP_CMP_MASKED_EQ, kNewNamespaces | kThread, kThread});
  // A filter cannot read the flags of clone3, which are in memory. Without it the C library takes clone.
  filter.refuse("clone3", ENOSYS);
  filter.allow("unshare", int_equals(0, CLONE_FILES));
  filter.allow("tgkill", int_equals(0, static_cast<std::uint32_t>(::getpid())));
  filter.allow("prlimit64", equals(2, 0));  // only reads a limit
  for (const std::uint32_t what : Values{PR_SET_NAME, PR_GET_NAME}) filter.allow("prctl", int_equals(0, what));
  for (const std::uint32_t what : Values{TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO})
    filter.allow("ioctl", int_equals(1, what));
  for (const std::uint32_t what : Values{F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD, F_DUPFD_CLOEXEC, F_GET_SEALS,
                                         F_ADD_SEALS, F_GETLK, F_SETLK, F_OFD_GETLK, F_OFD_SETLK}) {
    filter.allow("fcntl", int_equals(1, what));
    filter.allow("fcntl64", int_equals(1, what));
  }
}

/// Of netlink only what tells of interfaces, routes and the features of drivers.
void add_interface_calls(Filter& filter) {
  for (const char* call : kInterfaceCalls) filter.allow(call);
  for (const int family : kInterfaceFamilies) {
    filter.allow("socket", int_equals(0, static_cast<std::uint32_t>(family)));
  }
  for (const std::uint32_t protocol : Values{NETLINK_ROUTE, NETLINK_GENERIC}) {
    filter.allow("socket", {int_equals(0, AF_NETLINK), int_equals(2, protocol)});
  }
  for (const std::uint32_t what :
       Values{SIOCGIFINDEX, SIOCGIFNAME, SIOCGIFHWADDR, SIOCGIFMTU, SIOCGIFFLAGS, SIOCETHTOOL, SIOCOUTQ}) {
    filter.allow("ioctl", int_equals(1, what));
  }
}

/// Writes the name of the call, and ends the process.
void report_call(int, siginfo_t* info, void*) {
  char* const name = ::seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, info->si_syscall);
  for (const char* part : {"pollux: the system call ", name != nullptr ? name : "?", " is not in its list\n"}) {
    if (::write(STDERR_FILENO, part, std::strlen(part)) < 0) break;
  }
  ::_exit(128 + SIGSYS);
}

/// Whether calls that are not in the list end the process.
bool traps() {
  const char* const wanted = std::getenv("POLLUX_CONFINEMENT");
  if (wanted == nullptr || std::string_view(wanted) != "trap") return false;
  struct sigaction action {};
  action.sa_sigaction = &report_call;
  action.sa_flags = SA_SIGINFO;
  return ::sigaction(SIGSYS, &action, nullptr) == 0;
}

}  // namespace

bool restrict_calls(const Confinement& needed) {
  Filter filter(traps() ? SCMP_ACT_TRAP : kOtherCalls);
  for (const char* call : kCalls) filter.allow(call);
  add_checked_calls(filter);
  if (needed.opens_interfaces) add_interface_calls(filter);
  if (needed.connects) {
    filter.allow("connect");
    filter.allow("socket", int_equals(0, AF_UNIX));
  }
  return filter.load();
}

}  // namespace pollux::tool
