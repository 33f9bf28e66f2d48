// SPDX-License-Identifier: BSD-3-Clause
#include "observe/capture/filter_compiler.hpp"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

#include "base/signals_blocked.hpp"

namespace pollux::observe {
namespace {

/// A tenth of the share of an ordinary thread.
constexpr int kNiceness = 10;

Result<FrameFilter> compile(const std::string& expression, const std::string& port) noexcept {
  try {
    return FrameFilter::compile(expression, port);
  } catch (const std::bad_alloc&) {
    return tl::unexpected(Error{ErrorCode::no_memory, "no memory", "free some"});  // short texts, which need none
  }
}

}  // namespace

Result<std::unique_ptr<FilterCompiler>> FilterCompiler::create() {
  FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event)
    return fail_errno(ErrorCode::io_error, "no file descriptor is left for telemetry", errno, "raise ulimit -n");
  return std::unique_ptr<FilterCompiler>(new FilterCompiler(std::move(event)));
}

FilterCompiler::~FilterCompiler() {
  {
    const std::lock_guard lock(mutex_);
    waiting_.clear();
  }
  if (thread_.joinable()) thread_.join();
}

void FilterCompiler::add(std::uint64_t client, std::string expression, std::string port) {
  const std::lock_guard lock(mutex_);
  waiting_.push_back({client, std::move(expression), std::move(port)});
  if (!running_) start_thread();
}

// The thread before has ended, or is about to without the lock.
void FilterCompiler::start_thread() {
  if (thread_.joinable()) thread_.join();
  const SignalsBlocked blocked;
  try {
    thread_ = std::thread([this] { work(); });
    running_ = true;
  } catch (const std::system_error& error) {
    waiting_.front().filter =
        fail_errno(ErrorCode::io_error, "the thread that compiles capture filters cannot be started",
                   error.code().value(), "raise ulimit -u");
    deliver(waiting_);
  } catch (const std::bad_alloc&) {
    waiting_.pop_back();
    throw;
  }
}

/// The first job of `from` is done.
void FilterCompiler::deliver(Jobs& from) noexcept {
  ready_.splice(ready_.end(), from, from.begin());
  static_cast<void>(::eventfd_write(event_.get(), 1));
}

void FilterCompiler::work() noexcept {
  pthread_setname_np(pthread_self(), "pollux-filter");
  // Linux has a niceness for each thread. If it cannot be set, the thread works all the same.
  static_cast<void>(::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNiceness));
  Jobs job;
  std::unique_lock lock(mutex_);
  for (; !waiting_.empty(); deliver(job)) {
    job.splice(job.end(), waiting_, waiting_.begin());
    lock.unlock();
    job.front().filter = compile(job.front().expression, job.front().port);
    lock.lock();
  }
  running_ = false;
}

void FilterCompiler::forget(std::uint64_t client) {
  const std::lock_guard lock(mutex_);
  std::erase_if(waiting_, [client](const Job& job) { return job.client == client; });
}

std::optional<FilterCompiler::Compiled> FilterCompiler::take() {
  const std::lock_guard lock(mutex_);
  if (ready_.empty()) {
    eventfd_t count = 0;
    static_cast<void>(::eventfd_read(event_.get(), &count));
    return std::nullopt;
  }
  std::optional<Compiled> next({ready_.front().client, std::move(ready_.front().filter)});
  ready_.pop_front();
  return next;
}

}  // namespace pollux::observe
