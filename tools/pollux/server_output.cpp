// SPDX-License-Identifier: BSD-3-Clause
#include "server_output.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <optional>
#include <streambuf>
#include <utility>

#include "base/file_descriptor.hpp"
#include "common/stop_signals.hpp"

namespace pollux::tool {
namespace {

using std::chrono::steady_clock;

/// After a stop signal, for all that is left.
constexpr std::chrono::seconds kLastWait{1};

/// A pipe or terminal as a file of this process's own: O_NONBLOCK on the descriptor that is there would be one for all
/// processes that have it. None where it cannot be opened, as the terminal of another user.
FileDescriptor reopen(int descriptor, mode_t type) {
  if (!S_ISFIFO(type) && ::isatty(descriptor) == 0) return {};
  const std::string path = fmt::format("/proc/self/fd/{}", descriptor);
  return FileDescriptor(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

mode_t type_of(int descriptor) {
  struct stat status {};
  return ::fstat(descriptor, &status) == 0 ? status.st_mode : 0;
}

/// Writes the lines that have come when it is flushed, all at once. Thread rule: any thread.
class ServerOutput final : public std::streambuf {
 public:
  ServerOutput(int descriptor, LeftOutText left_out)
      : descriptor_(descriptor),
        type_(type_of(descriptor)),
        reopened_(reopen(descriptor, type_)),
        left_out_(left_out) {}

  [[nodiscard]] int error() {
    const std::scoped_lock lock(mutex_);
    if (error_ != 0) return error_;
    return write_out() && lines_left_out_ == 0 ? 0 : EAGAIN;
  }

 protected:
  int_type overflow(int_type character) override {
    const std::scoped_lock lock(mutex_);
    if (!traits_type::eq_int_type(character, traits_type::eof())) text_ += traits_type::to_char_type(character);
    return traits_type::not_eof(character);
  }
  std::streamsize xsputn(const char* text, std::streamsize size) override {
    const std::scoped_lock lock(mutex_);
    text_.append(text, static_cast<std::size_t>(size));
    return size;
  }
  // Always 0: a stream that has failed once would stay silent for ever.
  int sync() override {
    const std::scoped_lock lock(mutex_);
    const std::size_t size = text_.rfind('\n') + 1;  // std::cerr is flushed within lines, too
    const std::string text = text_.substr(0, size);
    text_.erase(0, size);
    if (!write_out()) {
      lines_left_out_ += static_cast<std::uint64_t>(std::ranges::count(text, '\n'));
      return 0;
    }
    if (lines_left_out_ != 0) rest_ = left_out_(std::exchange(lines_left_out_, 0));
    rest_ += text;
    static_cast<void>(write_out());
    return 0;
  }

 private:
  /// Whether nothing is left of what was begun.
  bool write_out() {
    while (!rest_.empty()) {
      if (!is_ready()) return false;
      const ssize_t count = write_some();
      if (count >= 0) {
        rest_.erase(0, static_cast<std::size_t>(count));
      } else if (errno == EAGAIN) {
        return false;
      } else if (errno != EINTR) {
        error_ = errno;
        rest_.clear();
      }
    }
    return true;
  }

  bool is_ready() {
    if (tools::stop_was_raised() && !last_wait_) last_wait_ = steady_clock::now() + kLastWait;
    const auto left = last_wait_ ? *last_wait_ - steady_clock::now() : steady_clock::duration::zero();
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    pollfd event{.fd = descriptor_, .events = POLLOUT, .revents = 0};
    return ::poll(&event, 1, static_cast<int>(std::max<long>(milliseconds, 0))) > 0;
  }

  // A pipe that is ready takes as much as this at once.
  ssize_t write_some() {
    const std::size_t size = std::min<std::size_t>(rest_.size(), PIPE_BUF);
    if (S_ISSOCK(type_)) return ::send(descriptor_, rest_.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
    return ::write(reopened_ ? reopened_.get() : descriptor_, rest_.data(), size);
  }

  std::mutex mutex_;
  int descriptor_;
  mode_t type_;
  FileDescriptor reopened_;
  LeftOutText left_out_;
  std::string text_;  // that is not flushed yet
  std::string rest_;  // of what was begun
  std::uint64_t lines_left_out_ = 0;
  std::optional<steady_clock::time_point> last_wait_;
  int error_ = 0;
};

ServerOutput* standard_output = nullptr;

}  // namespace

std::string left_out_text(std::uint64_t lines) {
  return fmt::format("pollux: {} lines were left out: nobody read them\n", lines);
}

void never_wait_for_readers(LeftOutText left_out) {
  if (standard_output != nullptr) return;
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  std::cout.flush();
  std::fflush(stdout);
  // Both are used until the process ends, also by the C++ library after all destructors.
  standard_output = new ServerOutput(STDOUT_FILENO, left_out);
  std::cout.rdbuf(standard_output);
  std::cerr.rdbuf(new ServerOutput(STDERR_FILENO, left_out_text));
}

int output_error() { return standard_output == nullptr ? 0 : standard_output->error(); }

}  // namespace pollux::tool
