// SPDX-License-Identifier: BSD-3-Clause
// Sleeping: poll, arm, then wait. Each queue looks for frames once more while it is armed (RxQueue::arm), so a frame
// either keeps the poller awake or makes the queue's descriptor readable.
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>

#include "runtime/poller_core.hpp"

namespace pollux {

// Sleeps before a round instead of after one. The round before has polled what came with the last wake-up, and arming a
// queue looks for frames once more. So the empty poll in between is saved, which is a system call on some ports.
// Returns false if the round is to be left out, because no queue ended the sleep.
Result<bool> PollerCore::rest(Time until) {
  rests_ = false;
  if (auto slept = sleep(until); !slept) return pass_on<void>(std::move(slept));
  return woken_ || !slept_;
}

Result<void> PollerCore::sleep(Time until) {
  slept_ = false;
  const Time now = clock_.now();
  if (!may_sleep(now) || now >= until) {
    if (descriptors_.empty() || ++rounds_since_check_ < Poller::kRoundsPerCheck) return {};
    return check_descriptors();
  }
  const std::uint64_t disabled_before = disabled_count_.load(std::memory_order_seq_cst);
  waiting_.clear();
  waiters_.clear();
  if (auto listed = list_wake_event(); !listed) return listed;
  list_descriptors();
  if (!arm_all(now, until)) return {};
  until = std::min(until, timers_.next());
  // What is scheduled from here on writes the wake event. What was scheduled before has set signalled_.
  sleeping_.store(true, std::memory_order_seq_cst);
  Result<void> waited;
  if (!signalled_.load(std::memory_order_seq_cst)) waited = wait(until, disabled_before);
  sleeping_.store(false, std::memory_order_relaxed);
  return waited;
}

// Each queue is asked, since this is also where its idle time begins.
bool PollerCore::may_sleep(Time now) noexcept {
  bool all = true;
  for (const auto& queue : queues_) {
    if (queue->is_enabled() && queue->spins(now)) all = false;
  }
  return all;
}

// A queue that was not armed has frames, usually. They may also wait for a free mbuf; so if it happens again, time must
// pass, also on a ManualClock. Those that are armed stay armed, so what reaches them is noticed by the next wait.
bool PollerCore::arm_all(Time now, Time& until) {
  waiting_.reserve(waiting_.size() + queues_.size());
  waiters_.reserve(waiters_.size() + queues_.size());
  bool all = true;
  for (const auto& queue : queues_) {
    queue->gate_.visit(&PolledQueue::idle, [&]() noexcept {
      if (!queue->armed_) queue->armed_ = queue->rx_->arm();
      queue->refusals_ = queue->armed_ ? 0 : queue->refusals_ + 1;
      if (queue->armed_) {
        waiting_.push_back({.fd = queue->descriptor_.load(std::memory_order_relaxed), .events = POLLIN, .revents = 0});
        waiters_.push_back({.queue = queue.get()});
      } else if (queue->refusals_ == 1) {
        all = false;
      } else {
        until = std::min(until, now + Clock::kWaitStep);
      }
    });
  }
  return all;
}

Result<void> PollerCore::list_wake_event() {
  if (!wake_event_) {
    wake_event_ = FileDescriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake_event_)
      return fail_errno(ErrorCode::io_error, "poller: cannot create an eventfd", errno, "raise ulimit -n");
  }
  waiting_.push_back({.fd = wake_event_.get(), .events = POLLIN, .revents = 0});
  waiters_.emplace_back();
  return {};
}

void PollerCore::list_descriptors() {
  for (const auto& descriptor : descriptors_) {
    waiting_.push_back(descriptor->wanted);
    waiters_.push_back({.number = descriptor->number});
  }
}

Result<void> PollerCore::wait(Time until, std::uint64_t disabled_before) {
  slept_ = true;
  const auto ready = clock_.wait(waiting_, until);
  if (!ready) {
    // Another thread may have disabled a queue and closed its port, and so its descriptor.
    if (disabled_count_.load(std::memory_order_seq_cst) != disabled_before) return {};
    return tl::unexpected<Error>(ready.error());
  }
  if (*ready == 0) return {};
  eventfd_t ignored = 0;
  if (waiting_.front().revents != 0) static_cast<void>(::eventfd_read(wake_event_.get(), &ignored));
  disarm_ready();
  run_ready_descriptors();
  return {};
}

// Only these: their descriptors would stay readable. To arm a queue may need a read of a card's register.
void PollerCore::disarm_ready() noexcept {
  for (std::size_t i = 0; i < waiting_.size(); ++i) {
    PolledQueue* const queue = waiters_[i].queue;
    if (queue == nullptr || waiting_[i].revents == 0) continue;
    woken_ = true;
    PolledQueue::count(queue->wakeups_, 1);
    queue->gate_.visit(&PolledQueue::idle, [&]() noexcept {
      if (std::exchange(queue->armed_, false)) queue->rx_->disarm();
    });
  }
}

}  // namespace pollux
