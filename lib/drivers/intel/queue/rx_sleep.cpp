// SPDX-License-Identifier: BSD-3-Clause
// How a thread sleeps until a receive queue has frames. The bursts know nothing of it.
#include "drivers/intel/queue/interrupts.hpp"
#include "drivers/intel/queue/rx_queue.hpp"
#include "pollux/base/io.hpp"

namespace pollux::drivers::intel {

void RxQueue::allow_sleeping(unsigned number) noexcept {
  can_sleep_ = true;
  number_ = number;
}

void RxQueue::attach_vector(InterruptVector* vector, int event) noexcept {
  vector_ = vector;
  event_.set_vector(event);
}

int RxQueue::event_fd() const { return can_sleep_ ? event_.descriptor() : -1; }

// In this order, because `arm` clears the event first and reads the flag last.
void RxQueue::notify_change() noexcept {
  has_changed_.store(true);
  event_.raise();
}

bool RxQueue::arm() noexcept {
  if (event_fd() < 0) return false;
  event_.clear();
  bool is_quiet = true;  // a queue that is closed receives nothing
  const bool is_own = gate_.visit(&idle, [&] { is_quiet = watch(); });
  if (!is_own) is_quiet = !frames_go_elsewhere();
  const bool has_changed = has_changed_.exchange(false);  // last: see notify_change
  if (is_quiet && !has_changed) {
    note_armed();
    return true;
  }
  disarm();
  return false;
}

void RxQueue::disarm() noexcept {
  if (!can_sleep_) return;
  gate_.visit(&idle, [&] {
    if (vector_ != nullptr) vector_->disarm(number_);
  });
  event_.clear();
}

// The first look saves the register accesses. The second one finds the frames that came before the vector was unmasked.
bool RxQueue::watch() noexcept {
  if (vector_ == nullptr || has_frame()) return false;
  vector_->arm(number_, packets_ - packets_when_armed_);
  packets_when_armed_ = packets_;
  return !has_frame();
}

bool RxQueue::has_frame() const noexcept { return hw::intel::rx::done(io::load_acquire(ring_[next_].hi)); }

// A forward path polls a queue that it has borrowed. It cannot be woken.
bool RxQueue::frames_go_elsewhere() const noexcept {
  const std::lock_guard lock(borrower_lock_);
  return borrower_ != nullptr;
}

}  // namespace pollux::drivers::intel
