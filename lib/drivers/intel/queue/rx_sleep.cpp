// SPDX-License-Identifier: BSD-3-Clause
// How a thread sleeps until a receive queue has frames. The bursts know nothing of it.
#include "drivers/intel/queue/interrupts.hpp"
#include "drivers/intel/queue/rx_queue.hpp"
#include "pollux/base/io.hpp"

namespace pollux::drivers::intel {

void IntelRxQueue::allow_sleeping(unsigned number) {
  number_ = number;
  use_event(std::make_shared<QueueEvent>(-1, QueueEvent::Trigger::edge));
}

void IntelRxQueue::attach_vector(InterruptVector* vector, int source) noexcept {
  vector_ = vector;
  event()->set_source(source);
}

void IntelRxQueue::unwatch() noexcept {
  gate_.visit(&idle, [&] {
    if (vector_ != nullptr) vector_->disarm(number_);
  });
}

// The first look saves the register accesses. The second one finds the frames that came before the vector was unmasked.
bool IntelRxQueue::watch() noexcept {
  if (vector_ == nullptr || has_frame()) return false;
  vector_->arm(number_, packets_ - packets_when_armed_);
  packets_when_armed_ = packets_;
  return !has_frame();
}

bool IntelRxQueue::has_frame() const noexcept { return hw::intel::rx::done(io::load_acquire(descriptors[next].hi)); }

// A forward path polls a queue that it has borrowed. It cannot be woken.
bool IntelRxQueue::watch_closed() noexcept {
  const std::lock_guard lock(borrower_lock_);
  return borrower_ == nullptr;
}

}  // namespace pollux::drivers::intel
