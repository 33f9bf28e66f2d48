// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/launch.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/open_file.hpp"

namespace pollux::qtest {
namespace {

constexpr int kPidDescriptor = 3;     // P_PIDFD, Linux 5.4; older C libraries have no name for it
constexpr unsigned kCloseOnExec = 4;  // CLOSE_RANGE_CLOEXEC, Linux 5.11
constexpr std::chrono::milliseconds kKillLimit{10000};
constexpr std::size_t kLastOutput = 1500;

struct Pipe {
  FileDescriptor read;
  FileDescriptor write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return fail_errno(ErrorCode::io_error, "a pipe for QEMU cannot be created", errno);
  }
  return Pipe{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

/// Everything that the child needs, prepared before the fork. After the fork the child may call only
/// async-signal-safe functions.
struct ChildSetup {
  std::vector<char*> arguments;
  const std::vector<int>* inherited;
  int lifetime;         // read end of the pipe whose closing kills the child
  int lifetime_writer;  // its write end
  int output;
  int null;
  int report;
};

bool keep_across_exec(int descriptor) { return ::fcntl(descriptor, F_SETFD, 0) == 0; }

// Makes the kernel send this process SIGKILL instead of SIGIO on an event of the pipe (fcntl(2), F_SETOWN and
// F_SETSIG). The only event is that the last writer closes it. PR_SET_PDEATHSIG of prctl(2) is no alternative: it kills
// the child when the thread that forked ends, even if the process continues.
bool bind_lifetime(const ChildSetup& setup) {
  ::close(setup.lifetime_writer);
  if (::fcntl(setup.lifetime, F_SETOWN, ::getpid()) != 0 || ::fcntl(setup.lifetime, F_SETSIG, SIGKILL) != 0 ||
      ::fcntl(setup.lifetime, F_SETFL, O_ASYNC) != 0) {
    return false;
  }
  pollfd check{.fd = setup.lifetime, .events = POLLIN, .revents = 0};
  return ::poll(&check, 1, 0) == 0 && keep_across_exec(setup.lifetime);
}

void reset_signals() {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void run_child(const ChildSetup& setup) {
  ::setpgid(0, 0);
  reset_signals();
  bool ready = ::dup2(setup.null, 0) == 0 && ::dup2(setup.output, 1) == 1 && ::dup2(setup.output, 2) == 2;
  // QEMU must not inherit the host's descriptors. On a kernel before 5.11 it inherits those that are not close-on-exec.
  static_cast<void>(::syscall(SYS_close_range, 3U, ~0U, kCloseOnExec));
  ready = ready && bind_lifetime(setup);
  for (const int descriptor : *setup.inherited) ready = ready && keep_across_exec(descriptor);
  if (ready) ::execv(setup.arguments.front(), setup.arguments.data());
  const int error = errno;
  static_cast<void>(!::write(setup.report, &error, sizeof error));
  ::_exit(127);
}

/// The errno of a child that failed before exec; 0 if it runs the program.
int read_report(int report) {
  int error = 0;
  ssize_t got = 0;
  do {
    got = ::read(report, &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  return got == sizeof error ? error : 0;
}

std::string describe_end(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return fmt::format("exit status {}", info.si_status);
  return fmt::format("signal {} ({})", info.si_status, ::strsignal(info.si_status));
}

}  // namespace

Result<Process> Process::start(const std::vector<std::string>& arguments, const std::vector<int>& inherited) {
  auto lifetime = make_pipe();
  if (!lifetime) return pass_on(std::move(lifetime));
  auto report = make_pipe();
  if (!report) return pass_on(std::move(report));
  Process process;
  process.output_ = FileDescriptor(::memfd_create("pollux-qemu-output", MFD_CLOEXEC));
  if (!process.output_ || ::fcntl(process.output_.get(), F_SETFL, O_APPEND) != 0)
    return fail_errno(ErrorCode::io_error, "the file of QEMU's output cannot be created", errno);
  const FileDescriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null)
    return fail_errno(ErrorCode::io_error, "/dev/null cannot be opened for QEMU", errno,
                      "make it, as root: mknod -m 666 /dev/null c 1 3");
  std::vector<std::string> words = arguments;
  ChildSetup setup{.arguments = {},
                   .inherited = &inherited,
                   .lifetime = lifetime->read.get(),
                   .lifetime_writer = lifetime->write.get(),
                   .output = process.output_.get(),
                   .null = null.get(),
                   .report = report->write.get()};
  for (std::string& word : words) setup.arguments.push_back(word.data());
  setup.arguments.push_back(nullptr);
  process.pid_ = ::_Fork();  // the child has all descriptors until it runs QEMU
  if (process.pid_ == 0) run_child(setup);
  if (process.pid_ < 0) {
    return fail_errno(ErrorCode::io_error, "the process of QEMU cannot be started", errno,
                      "raise the limit of processes (ulimit -u) or free memory");
  }
  process.lifetime_ = std::move(lifetime->write);
  process.handle_ = FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, process.pid_, 0)));
  if (!process.handle_) {
    const int error = errno;
    process.lifetime_ = FileDescriptor();  // kills the child
    ::waitpid(process.pid_, nullptr, 0);
    return fail_errno(ErrorCode::io_error, "the process of QEMU cannot be watched (pidfd_open)", error);
  }
  process.ended_ = false;
  report->write = FileDescriptor();
  if (const int error = read_report(report->read.get()); error != 0) {
    return fail_errno(error == ENOENT ? ErrorCode::not_found : ErrorCode::permission_denied,
                      fmt::format("{} cannot be run", arguments.front()), error,
                      "select another QEMU with qtest:0?qemu=PATH");
  }
  return process;
}

Process::Process(Process&& other) noexcept { *this = std::move(other); }

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(handle_, other.handle_);
  std::swap(lifetime_, other.lifetime_);
  std::swap(output_, other.output_);
  std::swap(exit_text_, other.exit_text_);
  std::swap(ended_, other.ended_);
  return *this;
}

Process::~Process() {
  if (ended_ || !handle_) return;  // a forked child has no handle
  kill();
  static_cast<void>(wait(kKillLimit));
}

// Uses the pidfd: the pid may belong to another process by now.
void Process::kill() const noexcept {
  if (handle_) static_cast<void>(::syscall(SYS_pidfd_send_signal, handle_.get(), SIGKILL, nullptr, 0));
}

bool Process::wait(std::chrono::milliseconds limit) {
  if (ended_) return true;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  int ready = 0;
  do {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd ended{.fd = handle_.get(), .events = POLLIN, .revents = 0};
    ready = ::poll(&ended, 1, left < 0 ? 0 : static_cast<int>(left));
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0) return false;
  siginfo_t info{};
  const auto handle = static_cast<id_t>(handle_.get());
  const bool reaped = ::waitid(static_cast<idtype_t>(kPidDescriptor), handle, &info, WEXITED) == 0;
  // The status is unknown if the host process waits for every child or ignores SIGCHLD.
  exit_text_ = reaped ? describe_end(info) : "ended";
  ended_ = true;
  return true;
}

std::string Process::last_output() const {
  std::string text(kLastOutput, '\0');
  const off_t size = ::lseek(output_.get(), 0, SEEK_END);
  const off_t from = size > static_cast<off_t>(text.size()) ? size - static_cast<off_t>(text.size()) : 0;
  const ssize_t got = ::pread(output_.get(), text.data(), text.size(), from);
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

Result<std::string> find_program(const std::string& program) {
  if (program.find('/') != std::string::npos) {
    if (is_program(program)) return program;
    return fail(ErrorCode::not_found, fmt::format("{} is not a program that can be run", program),
                "select an executable QEMU");
  }
  const char* const path = ::secure_getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    const std::string candidate = fmt::format("{}/{}", rest.substr(0, colon), program);
    if (is_program(candidate)) return candidate;
    rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
  }
  return fail(ErrorCode::not_found, fmt::format("{} is not in PATH", program),
              "install QEMU 8.0 or newer (Debian, Ubuntu: apt-get install qemu-system-x86; for bookworm from "
              "bookworm-backports), or select it with qtest:0?qemu=PATH");
}

}  // namespace pollux::qtest
