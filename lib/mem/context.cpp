// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/mem/context.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "base/file_descriptor.hpp"
#include "base/signals_blocked.hpp"
#include "mem/context_state.hpp"
#include "mem/control_scheduler.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// Runs the tasks of a Control on a thread of its own, for programs that ask for one. The thread blocks all signals.
/// The destructor stops it.
class ControlThread {
 public:
  /// Called on the thread for each failure.
  using OnFailure = std::function<void(const Error&)>;

  /// `scheduler` outlives the result. Error io_error: the process has no descriptor or no thread left.
  [[nodiscard]] static Result<std::unique_ptr<ControlThread>> start(ControlScheduler& scheduler, OnFailure on_failure) {
    constexpr const char* kHint =
        "call context.control().run_due() in the program's own loop, or raise ulimit -n and -u";
    FileDescriptor stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const int event = scheduler.event_fd();
    if (!stop || event < 0) {
      return fail_errno(ErrorCode::io_error, "no file descriptor is left for the control thread", errno, kHint);
    }
    std::unique_ptr<ControlThread> control(new ControlThread(scheduler, std::move(stop), std::move(on_failure)));
    const SignalsBlocked blocked;
    try {
      control->thread_ = std::thread([&self = *control, event] { self.work(event); });
    } catch (const std::system_error& error) {
      return fail_errno(ErrorCode::io_error, "the control thread cannot be started", error.code().value(), kHint);
    }
    return control;
  }
  ControlThread(const ControlThread&) = delete;
  ControlThread& operator=(const ControlThread&) = delete;
  ~ControlThread() {
    if (!thread_.joinable()) return;
    // In a forked child the thread does not exist, and the eventfd belongs to the parent.
    if (::getpid() != owner_) {
      thread_.detach();
      return;
    }
    static_cast<void>(::eventfd_write(stop_.get(), 1));
    thread_.join();
  }

 private:
  ControlThread(ControlScheduler& scheduler, FileDescriptor stop, OnFailure on_failure)
      : scheduler_(scheduler), stop_(std::move(stop)), on_failure_(std::move(on_failure)), owner_(::getpid()) {}
  void work(int event) {
    pthread_setname_np(pthread_self(), "pollux-control");
    std::array<pollfd, 2> waiting{pollfd{event, POLLIN, 0}, pollfd{stop_.get(), POLLIN, 0}};
    while (::poll(waiting.data(), waiting.size(), -1) >= 0 || errno == EINTR) {
      if (waiting[1].revents != 0) return;
      if (const auto next = run_tasks(); !next) {
        scheduler_.store_failure(next.error());
        on_failure_(next.error());
      }
    }
  }
  /// An exception of a handler is a failure, too.
  [[nodiscard]] Result<Time> run_tasks() {
    constexpr const char* kCatch = "catch it in the handler";
    try {
      return scheduler_.run_tasks();
    } catch (const std::exception& thrown) {
      return fail(ErrorCode::bad_state, std::string("a handler threw on the control thread: ") + thrown.what(), kCatch);
    } catch (...) {
      return fail(ErrorCode::bad_state, "a handler threw on the control thread", kCatch);
    }
  }

  ControlScheduler& scheduler_;
  FileDescriptor stop_;
  OnFailure on_failure_;
  pid_t owner_;
  std::thread thread_;
};

namespace {

std::unique_ptr<ControlThread> start_thread(ContextState& state) {
  if (dynamic_cast<const ManualClock*>(&state.clock()) != nullptr) {
    state.log(LogLevel::warning, "a control thread cannot run with a ManualClock: call context.control().run_due()");
    return nullptr;
  }
  auto thread = ControlThread::start(state.scheduler(),
                                     [&state](const Error& failure) { state.log(LogLevel::error, failure.message()); });
  if (thread) return *std::move(thread);
  state.log(LogLevel::error, thread.error().message());
  return nullptr;
}

}  // namespace

Context::Context(ContextOptions options) {
  const bool threaded = options.control_thread;
  state_ = std::make_shared<ContextState>(std::move(options));
  if (threaded) control_thread_ = start_thread(*state_);
}

Context::~Context() { state_->retire(); }

Clock& Context::clock() const noexcept { return state_->clock(); }

Control& Context::control() const noexcept { return state_->control(); }

void Context::log(LogLevel level, std::string_view message) const { state_->log(level, message); }

void Context::report(const Misuse& misuse) const { state_->report(misuse); }

Result<DmaMemory> Context::allocate(const DmaRequest& request) { return state_->allocate(request); }

Result<DmaMemory> Context::register_memory(std::span<std::byte> memory) { return state_->register_memory(memory); }

Result<void> Context::attach(std::shared_ptr<DmaDomain> domain) { return state_->attach(std::move(domain)); }

void Context::detach(const DmaDomain& domain) { state_->detach(domain); }

void* Context::service_slot(std::type_index type, ServiceFactory make) { return state_->service_slot(type, make); }

}  // namespace pollux
