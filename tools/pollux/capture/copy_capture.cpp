// SPDX-License-Identifier: BSD-3-Clause
#include "capture/copy_capture.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <limits>
#include <memory>
#include <span>
#include <utility>

namespace pollux::tool {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

/// How long the program may take to end its capture.
constexpr std::chrono::seconds kEndLimit{5};
constexpr int kStep = 100;  // milliseconds

Result<void> write_all(int out, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(out, bytes.data(), bytes.size());
    if (count >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      pollfd waiting{out, POLLOUT, 0};
      static_cast<void>(::poll(&waiting, 1, kStep));
    } else if (errno != EINTR) {
      const char* const hint = errno == ENOSPC || errno == EDQUOT
                                   ? "free some space, or capture less with a filter or -s"
                                   : "check what -w names";
      return fail_errno(ErrorCode::io_error, "cannot write the capture", errno, hint);
    }
  }
  return {};
}

/// A copy in progress.
class Copy {
 public:
  Copy(RunningCapture capture, int out, const CopyLimits& limits)
      : capture_(std::move(capture)),
        out_(out),
        limits_(limits),
        most_(limits.frames.value_or(std::numeric_limits<std::uint64_t>::max())),
        end_(limits.time ? std::chrono::steady_clock::now() + *limits.time : SteadyTime::max()) {}

  Result<PcapngCounts> run() {
    const auto* const first = reinterpret_cast<const std::byte*>(capture_.first.data());
    if (auto written = take({first, capture_.first.size()}); !written) return pass_on(std::move(written));
    while (true) {
      if (!ending_ && is_over()) end();
      auto more = step();
      if (!more) return pass_on(std::move(more));
      if (!*more) break;
    }
    if (counts_.is_complete() || counts_.frames() >= most_) return counts_;
    return fail(ErrorCode::io_error, "the program ended in the middle of the capture",
                "the file has all frames until then");
  }

 private:
  [[nodiscard]] bool is_over() const {
    return counts_.frames() >= most_ || std::chrono::steady_clock::now() >= end_ || (limits_.stop && limits_.stop());
  }
  void end() {
    ending_ = true;
    end_ = std::chrono::steady_clock::now() + kEndLimit;
    static_cast<void>(::shutdown(capture_.socket.get(), SHUT_WR));
  }
  /// Beyond the limit, blocks are read and not written. The statistics among them are about frames that the file lacks.
  Result<void> take(std::span<const std::byte> bytes) {
    const std::size_t taken = counts_.add(bytes, most_);
    if (counts_.is_broken())
      return fail(ErrorCode::io_error, "what the program sends is not a capture", "see what listens to that socket");
    return write_all(out_, bytes.first(taken));
  }
  /// Returns whether there is more to come.
  Result<bool> step() {
    // Also while bytes arrive: a program that goes on sending would keep this one from ending.
    if (ending_ && std::chrono::steady_clock::now() >= end_)
      return fail(ErrorCode::timeout, "the program does not end the capture", "see whether it is stopped");
    pollfd waiting{capture_.socket.get(), POLLIN, 0};
    static_cast<void>(::poll(&waiting, 1, kStep));
    const ssize_t count = capture_.socket.receive(chunk_);
    if (count == 0 || (count < 0 && errno == ECONNRESET)) return false;
    if (count > 0) {
      if (auto taken = take(std::span(chunk_).first(static_cast<std::size_t>(count))); !taken)
        return pass_on(std::move(taken));
      return true;
    }
    if (errno != EAGAIN && errno != EINTR) return fail_errno(ErrorCode::io_error, "cannot read the capture", errno);
    return true;
  }

  RunningCapture capture_;
  int out_;
  const CopyLimits& limits_;
  std::uint64_t most_;
  SteadyTime end_;
  bool ending_ = false;
  PcapngCounts counts_;
  std::array<std::byte, std::size_t{256} << 10> chunk_;
};

}  // namespace

Result<PcapngCounts> copy_capture(RunningCapture capture, int out, const CopyLimits& limits) {
  return std::make_unique<Copy>(std::move(capture), out, limits)->run();
}

}  // namespace pollux::tool
