// SPDX-License-Identifier: BSD-3-Clause
#include "observe/capture/capture_stream.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdint>
#include <utility>

namespace pollux::observe {
namespace {

CaptureStream::Target target_of(int descriptor) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return CaptureStream::Target::other;
  if (S_ISSOCK(status.st_mode)) return CaptureStream::Target::socket;
  return S_ISREG(status.st_mode) ? CaptureStream::Target::file : CaptureStream::Target::other;
}

// Its flags are shared with other processes, so it stays blocking. A pipe that is ready has room for PIPE_BUF bytes.
ssize_t write_if_ready(int descriptor, const std::byte* from, std::size_t bytes) {
  pollfd waiting{descriptor, POLLOUT, 0};
  const int ready = ::poll(&waiting, 1, 0);
  if (ready > 0) return ::write(descriptor, from, std::min<std::size_t>(bytes, PIPE_BUF));
  if (ready == 0) errno = EAGAIN;
  return -1;
}

ssize_t write_some(CaptureStream::Target target, int descriptor, const std::byte* from, std::size_t bytes) {
  switch (target) {
    case CaptureStream::Target::socket: return ::send(descriptor, from, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    case CaptureStream::Target::file: return ::write(descriptor, from, bytes);
    case CaptureStream::Target::other: break;
  }
  return write_if_ready(descriptor, from, bytes);
}

tl::unexpected<Error> write_failed(int error) {
  const char* const hint = error == ENOSPC || error == EDQUOT
                               ? "free some space, or capture less: a filter, a smaller snapshot length"
                               : "check the file or the connection that the capture is written to";
  return fail_errno(ErrorCode::io_error, "cannot write captured frames", error, hint);
}

}  // namespace

CaptureStream::CaptureStream(std::unique_ptr<Capture> capture, FileDescriptor descriptor, const std::string& first)
    : capture_(std::move(capture)), descriptor_(std::move(descriptor)), target_(target_of(descriptor_.get())) {
  buffer_.reserve(kBuffer + (std::size_t{1} << 16));
  const auto* const bytes = reinterpret_cast<const std::byte*>(first.data());
  buffer_.assign(bytes, bytes + first.size());
}

Result<CaptureStream::State> CaptureStream::flush() {
  while (written_ < buffer_.size()) {
    const std::byte* const from = buffer_.data() + written_;
    const std::size_t bytes = buffer_.size() - written_;
    const ssize_t count = write_some(target_, descriptor_.get(), from, bytes);
    if (count >= 0) {
      written_ += static_cast<std::size_t>(count);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return State::blocked;
    if (errno == EPIPE || errno == ECONNRESET) return State::closed;
    return write_failed(errno);
  }
  buffer_.clear();
  written_ = 0;
  return State::idle;
}

Result<CaptureStream::State> CaptureStream::run() {
  auto flushed = flush();
  if (!flushed || *flushed != State::idle) return flushed;
  const bool more = capture_->drain(buffer_, kBuffer);
  flushed = flush();
  if (!flushed || *flushed != State::idle || !more) return flushed;
  return State::more;
}

Result<void> CaptureStream::finish(Duration limit) {
  const SteadyClock clock;
  const Time deadline = clock.now() + limit;
  // A thread that does not leave its burst goes on capturing, which the statistics do not include.
  auto stopped = capture_->stop();
  bool has_statistics = false;
  while (true) {
    auto state = run();
    if (!state) return pass_on(std::move(state));
    if (*state == State::closed) return {};
    if (*state == State::idle) {
      if (has_statistics) return stopped;
      capture_->finish(buffer_);
      has_statistics = true;
      continue;
    }
    // What was captured before the stop is bounded.
    if (*state == State::more && stopped) continue;
    const Duration left = deadline - clock.now();
    if (left <= Duration(0)) {
      return fail(ErrorCode::timeout, "the reader of a capture did not take the end of it",
                  "read faster, or capture less: a filter, a smaller snapshot length");
    }
    if (*state == State::more) continue;
    pollfd waiting{descriptor_.get(), POLLOUT, 0};
    static_cast<void>(::poll(&waiting, 1, static_cast<int>(left / std::chrono::milliseconds(1)) + 1));
  }
}

}  // namespace pollux::observe
