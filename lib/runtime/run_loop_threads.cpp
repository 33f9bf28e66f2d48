// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/runtime/run_loop_threads.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>

#include "base/own_thread.hpp"
#include "base/signals_blocked.hpp"

namespace pollux {
namespace {

/// The processors that this thread may use.
std::vector<unsigned> allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<unsigned> cores;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (unsigned core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

Result<void> check_cores(const std::vector<RunLoopThreadOptions>& options) {
  const std::vector<unsigned> allowed = allowed_cores();
  std::vector<unsigned> taken;
  for (const RunLoopThreadOptions& one : options) {
    if (!one.core) continue;
    if (std::ranges::find(allowed, *one.core) == allowed.end()) {
      return fail(ErrorCode::invalid_argument, fmt::format("run loops: the process may not use core {}", *one.core),
                  fmt::format("use some of {}; see taskset(1) and the cgroup's cpuset", fmt::join(allowed, ", ")));
    }
    if (std::ranges::find(taken, *one.core) != taken.end()) {
      return fail(ErrorCode::invalid_argument, fmt::format("run loops: two loops are to run on core {}", *one.core),
                  "give each loop its own core, or none");
    }
    taken.push_back(*one.core);
  }
  return {};
}

/// 0 or an errno.
int pin(unsigned core) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  return ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set);
}

}  // namespace

/// A loop and its thread.
class RunLoopThreads::LoopThread {
 public:
  LoopThread(Context& context, RunLoopThreadOptions options)
      : core_(options.core), loop_(context, std::move(options.loop)) {}

  [[nodiscard]] RunLoop& loop() noexcept { return loop_; }
  [[nodiscard]] bool is_started() const noexcept { return thread_.joinable(); }

  [[nodiscard]] Result<void> start() {
    {
      const std::lock_guard lock(lock_);
      state_ = State::starting;
      outcome_ = {};
    }
    if (const int error = start_thread(); error != 0)
      return fail_errno(ErrorCode::io_error, loop_.name() + ": no thread", error,
                        "raise the limit of threads (ulimit -u)");
    std::unique_lock lock(lock_);
    changed_.wait(lock, [this] { return state_ != State::starting; });
    return pin_error_ == 0 ? Result<void>()
                           : fail_errno(ErrorCode::permission_denied,
                                        fmt::format("{}: cannot run on core {}", loop_.name(), *core_), pin_error_,
                                        "choose another core, or none");
  }

  /// Whether the thread ended before `deadline`.
  [[nodiscard]] bool wait_until(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(lock_);
    return changed_.wait_until(lock, deadline, [this] { return state_ == State::ended; });
  }
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] Result<void> outcome() const {
    const std::lock_guard lock(lock_);
    return outcome_;
  }

 private:
  enum class State : std::uint8_t { starting, running, ended };

  [[nodiscard]] int start_thread() {
    const SignalsBlocked blocked;
    try {
      thread_ = OwnThread([this] { run(); });
      return 0;
    } catch (const std::system_error& error) {
      return error.code().value();
    }
  }

  void run() {
    static_cast<void>(::pthread_setname_np(::pthread_self(), loop_.name().substr(0, 15).c_str()));
    pin_error_ = core_ ? pin(*core_) : 0;
    set_state(State::running, {});
    set_state(State::ended, pin_error_ == 0 ? loop_.run() : Result<void>());
  }
  void set_state(State state, Result<void> outcome) {
    const std::lock_guard lock(lock_);
    state_ = state;
    outcome_ = std::move(outcome);
    changed_.notify_all();
  }

  std::optional<unsigned> core_;
  RunLoop loop_;
  OwnThread thread_;
  mutable std::mutex lock_;
  std::condition_variable changed_;
  State state_ = State::ended;
  Result<void> outcome_;
  int pin_error_ = 0;
};

Result<std::unique_ptr<RunLoopThreads>> RunLoopThreads::create(Context& context,
                                                               std::vector<RunLoopThreadOptions> options) {
  if (options.empty())
    return fail(ErrorCode::invalid_argument, "run loops: there are none", "describe at least one loop");
  if (auto checked = check_cores(options); !checked) return pass_on<void>(std::move(checked));
  std::vector<std::unique_ptr<LoopThread>> threads;
  for (RunLoopThreadOptions& one : options) {
    if (one.loop.name.empty()) one.loop.name = fmt::format("run loop {}", threads.size());
    threads.push_back(std::make_unique<LoopThread>(context, std::move(one)));
  }
  return std::unique_ptr<RunLoopThreads>(new RunLoopThreads(std::move(threads)));
}

RunLoopThreads::RunLoopThreads(std::vector<std::unique_ptr<LoopThread>> threads) : threads_(std::move(threads)) {}

RunLoopThreads::~RunLoopThreads() {
  for (const auto& thread : threads_) thread->loop().stop();
  for (const auto& thread : threads_) thread->join();
}

RunLoop& RunLoopThreads::loop(std::size_t index) { return threads_.at(index)->loop(); }

Result<void> RunLoopThreads::start() {
  if (std::ranges::any_of(threads_, [](const auto& thread) { return thread->is_started(); }))
    return fail(ErrorCode::bad_state, "run loops: they have been started already", "stop them first");
  for (const auto& thread : threads_) {
    if (auto started = thread->start(); !started) {
      static_cast<void>(stop());
      return started;
    }
  }
  return {};
}

Result<void> RunLoopThreads::stop(Duration limit) {
  const auto now = std::chrono::steady_clock::now();
  const auto deadline = now + std::min<Duration>(limit, decltype(now)::max() - now);
  for (const auto& thread : threads_) {
    if (thread->is_started()) thread->loop().stop();
  }
  Result<void> first;
  for (const auto& thread : threads_) {
    if (!thread->is_started()) continue;
    if (!thread->wait_until(deadline)) {
      const std::string running = thread->loop().poller().running();
      return fail(ErrorCode::timeout,
                  fmt::format("{}: it has not ended: {} has not returned", thread->loop().name(),
                              running.empty() ? "its drain" : running),
                  "let callbacks do their work in short pieces; stop may be called again");
    }
    thread->join();
    // A loop that had failed before it was stopped would otherwise end at once when it is started again.
    thread->loop().stopping_.store(false, std::memory_order_relaxed);
    if (auto outcome = thread->outcome(); !outcome && first) first = std::move(outcome);
  }
  return first;
}

Result<void> RunLoopThreads::failure() const {
  for (const auto& thread : threads_) {
    if (auto outcome = thread->outcome(); !outcome) return outcome;
  }
  return {};
}

}  // namespace pollux
