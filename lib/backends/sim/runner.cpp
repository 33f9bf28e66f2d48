// SPDX-License-Identifier: BSD-3-Clause
#include "backends/sim/runner.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <system_error>

#include "base/signals_blocked.hpp"

namespace pollux::sim {
namespace {

/// The longest sleep. It bounds the delay that a lost wake-up would cause.
constexpr Duration kMaxSleep = std::chrono::milliseconds(10);
/// Polls for posted writes before the thread sleeps, because a driver often writes again soon.
constexpr int kPollsBeforeSleep = 64;

}  // namespace

Result<std::unique_ptr<Runner>> Runner::create(Machine& machine) {
  FileDescriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) {
    return fail_errno(ErrorCode::io_error, "the eventfd of the card's thread cannot be created", errno,
                      "raise the limit of open files (ulimit -n)");
  }
  return std::unique_ptr<Runner>(new Runner(machine, std::move(wake)));
}

void Runner::start() {
  if (thread_.joinable()) return;
  running_.store(true);
  const SignalsBlocked blocked;
  try {
    thread_ = std::thread([this] { loop(); });
  } catch (const std::system_error&) {
    running_.store(false);  // the driver's thread then does the work
  }
}

void Runner::stop() {
  if (!thread_.joinable()) return;
  running_.store(false);
  wake();
  thread_.join();
}

bool Runner::post(const Write& write) noexcept {
  if (!running_.load(std::memory_order_relaxed)) return false;
  {
    const std::lock_guard guard(post_lock_);
    if (posted_.size() >= kMaxPosted) return false;
    posted_.push_back(write);
    has_posted_.store(true);
  }
  if (asleep_.load()) wake();
  return true;
}

void Runner::process_posted() noexcept {
  if (!has_posted_.load(std::memory_order_acquire)) return;
  {
    const std::lock_guard guard(post_lock_);
    std::swap(posted_, taken_);
    has_posted_.store(false);
  }
  for (const Write& write : taken_) machine_.write(write);
  taken_.clear();
}

void Runner::loop() {
  while (running_.load(std::memory_order_relaxed)) {
    const Duration idle = machine_.run();
    int polls = 0;
    while (polls < kPollsBeforeSleep && !has_posted_.load(std::memory_order_relaxed)) {
      std::this_thread::yield();
      ++polls;
    }
    if (polls == kPollsBeforeSleep && idle > Duration(0)) sleep(std::min(idle, kMaxSleep));
  }
}

// This thread sets `asleep_` and then reads `has_posted_`. `post` sets `has_posted_` and then reads `asleep_`. So at
// least one of them sees the other's store, and no wake-up is lost.
void Runner::sleep(Duration span) noexcept {
  asleep_.store(true);
  if (!has_posted_.load() && running_.load()) {
    pollfd wait{wake_.get(), POLLIN, 0};
    const auto nanoseconds = static_cast<long>(span.count());  // under a second
    const timespec limit{0, nanoseconds};
    ::ppoll(&wait, 1, &limit, nullptr);
  }
  asleep_.store(false);
  std::uint64_t drained = 0;
  static_cast<void>(!::read(wake_.get(), &drained, sizeof drained));
}

void Runner::wake() noexcept {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(wake_.get(), &one, sizeof one));
}

}  // namespace pollux::sim
