// SPDX-License-Identifier: BSD-3-Clause
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <new>
#include <optional>
#include <system_error>
#include <utility>

#include "base/own_thread.hpp"
#include "base/peer_socket.hpp"
#include "base/signals_blocked.hpp"
#include "observe/capture/capture_stream.hpp"
#include "pollux/observe/capture.hpp"

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

// A client may have sent descriptors meanwhile.
CaptureStream::~CaptureStream() {
  if (target_ == Target::socket) static_cast<void>(PeerSocket(std::move(descriptor_)));
}

Result<CaptureStream::State> CaptureStream::flush() {
  while (written_ < buffer_.size()) {
    const std::byte* const from = buffer_.data() + written_;
    const std::size_t bytes = buffer_.size() - written_;
    const ssize_t count = write_some(target_, descriptor_.get(), from, bytes);
    if (count >= 0) {
      written_ += static_cast<std::size_t>(count);
      bytes_taken_ += static_cast<std::uint64_t>(count);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return State::blocked;
    if (errno == EPIPE || errno == ECONNRESET) return State::closed;
    return write_failed(errno);
  }
  if (written_ > 0) ++buffers_taken_;
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

Result<void> CaptureStream::finish(const std::atomic<Duration>& limit) {
  const SteadyClock clock;
  Time last_taken = clock.now();
  // A thread that does not leave its burst goes on capturing, which the statistics do not include.
  auto stopped = capture_->stop();
  bool has_statistics = false;
  while (true) {
    const std::uint64_t taken = buffers_taken_;
    auto state = run();
    if (!state) return pass_on(std::move(state));
    if (*state == State::closed) return {};
    if (*state == State::idle) {
      if (has_statistics) return stopped;
      capture_->finish(buffer_);
      has_statistics = true;
      continue;
    }
    // What was captured before the stop is bounded, and both sides may be slow.
    if (stopped && buffers_taken_ != taken) last_taken = clock.now();
    if (*state == State::more && stopped) continue;
    const Duration left = last_taken + limit.load() - clock.now();
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

namespace pollux {
namespace {

constexpr const char* kHint = "raise ulimit -n and -u, or end other captures";
// Between two readings of the rings. In the longer time a ring of the default size takes 30,000 short frames.
constexpr int kBusyMilliseconds = 1;
constexpr int kIdleMilliseconds = 5;
constexpr int kBlockedMilliseconds = 100;
/// How often the port is looked at.
constexpr Duration kPortInterval = std::chrono::milliseconds(50);

}  // namespace

class CaptureThread::Core {
 public:
  Core(std::unique_ptr<Capture> capture, FileDescriptor descriptor, FileDescriptor stop, const std::string& first)
      : stream_(std::in_place, std::move(capture), std::move(descriptor), first), stop_(std::move(stop)) {}
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;
  ~Core() {
    if (!thread_.joinable()) return;
    end(finish_limit_);
    thread_.join();
  }

  void start() {
    const SignalsBlocked blocked;
    thread_ = OwnThread([this] { work(); });
  }
  void end(Duration limit) noexcept {
    finish_limit_ = limit;
    static_cast<void>(::eventfd_write(stop_.get(), 1));
  }
  [[nodiscard]] Duration blocked_for() const noexcept {
    const Time since = blocked_since_;
    return since == kNotBlocked ? Duration(0) : SteadyClock().now() - since;
  }
  [[nodiscard]] bool is_running() const noexcept { return running_.load(std::memory_order_acquire); }
  [[nodiscard]] Result<void> result() const {
    const std::lock_guard lock(mutex_);
    return result_;
  }

 private:
  void work();
  [[nodiscard]] Result<void> write();
  /// Waits for the reader or for more frames. Returns whether the capture is to end.
  [[nodiscard]] bool wait(int milliseconds, bool blocked);

  static constexpr Time kNotBlocked = Time::max();

  std::optional<observe::CaptureStream> stream_;  // the thread's; empty once it has ended
  FileDescriptor stop_;
  mutable std::mutex mutex_;
  Result<void> result_;
  std::atomic<bool> running_{true};
  std::atomic<Time> blocked_since_{kNotBlocked};
  std::atomic<Duration> finish_limit_{kFinishLimit};
  OwnThread thread_;
};

void CaptureThread::Core::work() {
  pthread_setname_np(pthread_self(), "pollux-capture");
  Result<void> result;
  try {
    result = write();
  } catch (const std::bad_alloc&) {
    result = tl::unexpected(Error{ErrorCode::no_memory, "no memory", "free some"});  // short texts, which need none
  }
  stream_.reset();
  {
    const std::lock_guard lock(mutex_);
    result_ = std::move(result);
  }
  running_.store(false, std::memory_order_release);
}

Result<void> CaptureThread::Core::write() {
  using State = observe::CaptureStream::State;
  const SteadyClock clock;
  Time look_at_port = clock.now() + kPortInterval;
  std::uint64_t seen = 0;
  std::uint64_t taken = 0;
  bool over = false;
  while (!over) {
    auto state = stream_->run();
    if (!state) return pass_on(std::move(state));
    if (*state == State::closed) finish_limit_ = Duration(0);
    if (*state == State::closed) break;
    const std::uint64_t now_seen = stream_->capture().counts().seen;
    int milliseconds = now_seen != seen ? kBusyMilliseconds : kIdleMilliseconds;
    if (*state == State::more) milliseconds = 0;
    if (*state == State::blocked) milliseconds = kBlockedMilliseconds;
    if (*state != State::blocked) {
      blocked_since_ = kNotBlocked;
    } else if (blocked_since_.load() == kNotBlocked || stream_->bytes_taken() != taken) {
      blocked_since_ = clock.now();
      taken = stream_->bytes_taken();
    }
    seen = now_seen;
    over = wait(milliseconds, *state == State::blocked);
    if (clock.now() < look_at_port) continue;
    look_at_port = clock.now() + kPortInterval;
    over = over || !stream_->capture().is_port_open();
  }
  return stream_->finish(finish_limit_);
}

// A reader that has nothing to say shuts its side down when it wants the capture to end. What it sends is ignored.
bool CaptureThread::Core::wait(int milliseconds, bool blocked) {
  const auto out = static_cast<short>(blocked ? POLLOUT : 0);
  std::array<pollfd, 2> waiting{pollfd{stream_->descriptor(), static_cast<short>(out | POLLRDHUP), 0},
                                pollfd{stop_.get(), POLLIN, 0}};
  if (::poll(waiting.data(), waiting.size(), milliseconds) <= 0) return false;
  constexpr short kGone = POLLRDHUP | POLLHUP | POLLERR;
  return waiting[1].revents != 0 || (waiting[0].revents & kGone) != 0;
}

Result<std::unique_ptr<CaptureThread>> CaptureThread::start(std::unique_ptr<Capture> capture, int descriptor,
                                                            const std::string& first) {
  FileDescriptor target(descriptor);
  FileDescriptor stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop) {
    const int error = errno;
    static_cast<void>(PeerSocket(std::move(target)));  // whose client may have sent descriptors
    return fail_errno(ErrorCode::io_error, "no file descriptor is left for a capture", error, kHint);
  }
  auto core = std::make_unique<Core>(std::move(capture), std::move(target), std::move(stop), first);
  try {
    core->start();
  } catch (const std::system_error& error) {
    return fail_errno(ErrorCode::io_error, "the thread of a capture cannot be started", error.code().value(), kHint);
  }
  return std::unique_ptr<CaptureThread>(new CaptureThread(std::move(core)));
}

CaptureThread::CaptureThread(std::unique_ptr<Core> core) noexcept : core_(std::move(core)) {}
CaptureThread::~CaptureThread() = default;

void CaptureThread::end(Duration limit) noexcept { core_->end(limit); }
Duration CaptureThread::blocked_for() const noexcept { return core_->blocked_for(); }
bool CaptureThread::is_running() const noexcept { return core_->is_running(); }
Result<void> CaptureThread::result() const { return core_->result(); }

}  // namespace pollux
