// SPDX-License-Identifier: BSD-3-Clause
#include "ports/common/wake_event.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>

namespace pollux::ports {
namespace {

bool add(const FileDescriptor& epoll, int descriptor) noexcept {
  epoll_event wanted{};
  wanted.events = EPOLLIN;
  wanted.data.fd = descriptor;
  return ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, descriptor, &wanted) == 0;
}

}  // namespace

int WakeEvent::descriptor() noexcept {
  if (const int made = descriptor_.load(std::memory_order_acquire); made >= 0) return made;
  const std::lock_guard guard(making_);
  if (descriptor_.load(std::memory_order_relaxed) < 0 && make()) {
    raised_by_.store(event_.get());
    descriptor_.store(both_ ? both_.get() : event_.get());
  }
  return descriptor_.load(std::memory_order_relaxed);
}

bool WakeEvent::make() {
  FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return false;
  if (source_ >= 0) {
    FileDescriptor both(::epoll_create1(EPOLL_CLOEXEC));
    if (!both || !add(both, event.get()) || !add(both, source_)) return false;
    both_ = std::move(both);
  }
  event_ = std::move(event);
  return true;
}

// A thread first gets the descriptor and then checks for events. A caller of `raise` first stores its event and then
// loads `raised_by_` here. All are in one (sequentially consistent) order, so no wakeup is lost. The mark is set last:
// a `clear` that comes between leaves the descriptor readable, which wakes the thread once too often, and the next one
// clears it.
void WakeEvent::raise() noexcept {
  const int event = raised_by_.load();
  if (event < 0) return;
  static_cast<void>(::eventfd_write(event, 1));
  is_raised_.store(true);
}

void WakeEvent::clear() noexcept {
  if (!is_raised_.exchange(false)) return;
  eventfd_t raised = 0;
  static_cast<void>(::eventfd_read(raised_by_.load(), &raised));
}

void WakeEvent::forget_source() noexcept {
  if (descriptor_.load() >= 0 && both_) static_cast<void>(::epoll_ctl(both_.get(), EPOLL_CTL_DEL, source_, nullptr));
}

}  // namespace pollux::ports
