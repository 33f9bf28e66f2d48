// SPDX-License-Identifier: BSD-3-Clause
#include "net/queue_event.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <array>

namespace pollux {

bool QueueEvent::add(int descriptor, Trigger trigger) const noexcept {
  epoll_event wanted{};
  wanted.events = trigger == Trigger::edge ? EPOLLIN | EPOLLET : EPOLLIN;
  wanted.data.fd = descriptor;
  return ::epoll_ctl(both_.get(), EPOLL_CTL_ADD, descriptor, &wanted) == 0;
}

int QueueEvent::descriptor() noexcept {
  if (const int made = descriptor_.load(std::memory_order_acquire); made >= 0) return made;
  const std::lock_guard guard(making_);
  if (descriptor_.load(std::memory_order_relaxed) < 0 && make()) {
    raised_by_.store(event_.get());
    descriptor_.store(both_ ? both_.get() : event_.get());
  }
  return descriptor_.load(std::memory_order_relaxed);
}

bool QueueEvent::make() {
  event_ = FileDescriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event_ || !has_source_) return static_cast<bool>(event_);
  both_ = FileDescriptor(::epoll_create1(EPOLL_CLOEXEC));
  return both_ && add(event_.get(), Trigger::level) && (source_ < 0 || add(source_, trigger_));
}

// A thread first gets the descriptor and then checks for events. A caller of `raise` first stores its event and then
// loads `raised_by_` here. All are in one (sequentially consistent) order, so no wakeup is lost. The mark is set last:
// a `clear` that comes between leaves the descriptor readable, which wakes the thread once too often, and the next one
// clears it.
void QueueEvent::raise() noexcept {
  const int event = raised_by_.load();
  if (event < 0) return;
  static_cast<void>(::eventfd_write(event, 1));
  is_raised_.store(true);
}

// epoll_wait takes an edge-triggered event out of this instance's list, and of no other's.
void QueueEvent::clear() noexcept {
  if (is_raised_.exchange(false)) {
    eventfd_t raised = 0;
    static_cast<void>(::eventfd_read(raised_by_.load(), &raised));
  }
  const int descriptor = descriptor_.load();
  if (trigger_ != Trigger::edge || descriptor < 0) return;
  std::array<epoll_event, 2> found{};
  static_cast<void>(::epoll_wait(descriptor, found.data(), static_cast<int>(found.size()), 0));
}

void QueueEvent::set_source(int source) noexcept {
  const std::lock_guard guard(making_);
  if (descriptor_.load(std::memory_order_relaxed) >= 0) {
    if (source_ >= 0) static_cast<void>(::epoll_ctl(both_.get(), EPOLL_CTL_DEL, source_, nullptr));
    if (source >= 0 && !add(source, trigger_)) source = -1;
  }
  source_ = source;
}

}  // namespace pollux
