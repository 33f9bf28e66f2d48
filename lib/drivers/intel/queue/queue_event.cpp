// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/queue_event.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <array>

namespace pollux::drivers::intel {
namespace {

bool watch(const FileDescriptor& epoll, int event, std::uint32_t events) noexcept {
  epoll_event wanted{};
  wanted.events = events;
  return ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, event, &wanted) == 0;
}

}  // namespace

int QueueEvent::descriptor() noexcept {
  if (const int made = descriptor_.load(std::memory_order_acquire); made >= 0) return made;
  const std::lock_guard guard(making_);
  if (descriptor_.load(std::memory_order_relaxed) < 0 && make()) {
    raised_by_.store(changes_.get());
    descriptor_.store(epoll_.get());
  }
  return descriptor_.load(std::memory_order_relaxed);
}

bool QueueEvent::make() {
  FileDescriptor changes(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  FileDescriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!changes || !epoll || !watch(epoll, changes.get(), EPOLLIN)) return false;
  if (vector_ >= 0 && !watch(epoll, vector_, EPOLLIN | EPOLLET)) return false;
  changes_ = std::move(changes);
  epoll_ = std::move(epoll);
  return true;
}

// A thread first gets the descriptor and then checks for changes. A caller of `raise` first stores its change and then
// loads `raised_by_` here. All are in one (sequentially consistent) order, so no wakeup is lost.
void QueueEvent::raise() noexcept {
  if (const int event = raised_by_.load(); event >= 0) static_cast<void>(::eventfd_write(event, 1));
}

// epoll_wait takes an edge-triggered event out of this instance's list, and of no other's.
void QueueEvent::clear() noexcept {
  const int epoll = descriptor_.load();
  if (epoll < 0) return;
  eventfd_t raised = 0;
  static_cast<void>(::eventfd_read(raised_by_.load(), &raised));
  std::array<epoll_event, 2> found{};
  static_cast<void>(::epoll_wait(epoll, found.data(), static_cast<int>(found.size()), 0));
}

void QueueEvent::set_vector(int event) noexcept {
  const std::lock_guard guard(making_);
  if (epoll_) {
    if (vector_ >= 0) static_cast<void>(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, vector_, nullptr));
    if (event >= 0 && !watch(epoll_, event, EPOLLIN | EPOLLET)) event = -1;
  }
  vector_ = event;
}

}  // namespace pollux::drivers::intel
