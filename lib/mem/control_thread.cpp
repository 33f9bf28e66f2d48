// SPDX-License-Identifier: BSD-3-Clause
#include "mem/control_thread.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <exception>
#include <string>
#include <system_error>
#include <utility>

#include "base/signals_blocked.hpp"
#include "mem/control_scheduler.hpp"

namespace pollux {
namespace {

constexpr const char* kHint = "call context.control().run_due() in the program's own loop, or raise ulimit -n and -u";

}  // namespace

ControlThread::ControlThread(ControlScheduler& scheduler, FileDescriptor stop, OnFailure on_failure)
    : scheduler_(scheduler), stop_(std::move(stop)), on_failure_(std::move(on_failure)), owner_(::getpid()) {}

Result<std::unique_ptr<ControlThread>> ControlThread::start(ControlScheduler& scheduler, OnFailure on_failure) {
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

ControlThread::~ControlThread() {
  if (!thread_.joinable()) return;
  // In a forked child the thread does not exist, and the eventfd belongs to the parent.
  if (::getpid() != owner_) {
    thread_.detach();
    return;
  }
  static_cast<void>(::eventfd_write(stop_.get(), 1));
  thread_.join();
}

Result<Time> ControlThread::run_tasks() {
  constexpr const char* kCatch = "catch it in the handler";
  try {
    return scheduler_.run_tasks();
  } catch (const std::exception& thrown) {
    return fail(ErrorCode::bad_state, std::string("a handler threw on the control thread: ") + thrown.what(), kCatch);
  } catch (...) {
    return fail(ErrorCode::bad_state, "a handler threw on the control thread", kCatch);
  }
}

void ControlThread::work(int event) {
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

}  // namespace pollux
