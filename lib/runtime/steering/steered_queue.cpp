// SPDX-License-Identifier: BSD-3-Clause
#include "runtime/steering/steered_queue.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "pollux/mem/burst.hpp"
#include "pollux/net/burst_gate.hpp"

namespace pollux {

SteeredQueue::SteeredQueue(std::uint16_t index, std::uint32_t ring, FileDescriptor event, Clock& clock)
    : ring_(ring), event_(std::move(event)), clock_(clock), ring_full_("steering_ring_full_" + std::to_string(index)) {
  open_bursts(&burst);
}

SteeredQueue::~SteeredQueue() {
  std::array<Mbuf*, kStage> rest{};
  while (const std::uint32_t count = ring_.dequeue(rest)) drop_unnamed({rest.data(), count});
}

bool SteeredQueue::has_room() noexcept {
  if (staged_ == kStage) flush();
  room_ = std::min(ring_.room(staged_ + 1), kStage);
  return room_ > staged_;
}

void SteeredQueue::flush() noexcept {
  if (staged_ == 0) return;
  ring_.put({stage_.data(), staged_});
  put_ += staged_;
  room_ = 0;
  staged_ = 0;
  frames_.store(put_, std::memory_order_relaxed);
  // Only the compiler must keep the order: the barrier in `arm` makes this processor drain its stores.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (is_armed_.load(std::memory_order_relaxed)) [[unlikely]]
    static_cast<void>(::eventfd_write(event_.get(), 1));
}

// A consumer that polls again, or is about to sleep, has handled what it got before. The steering thread may then give
// a flow's later frames to another consumer, which sees all that this one has done.
void SteeredQueue::note_handled() noexcept {
  if (handled_.load(std::memory_order_relaxed) != taken_) handled_.store(taken_, std::memory_order_release);
}

std::uint32_t SteeredQueue::burst(RxQueue& queue, Mbuf** mbufs, std::uint32_t limit) noexcept {
  SteeredQueue& self = static_cast<SteeredQueue&>(queue);
  self.note_handled();
  const std::uint32_t count = self.ring_.dequeue({mbufs, limit});
  self.taken_ += count;
  return count;
}

// The steering thread stores a frame and reads the flag without a fence between the two, so this thread pays for the
// barrier. After it either the frame is visible here, or the steering thread sees the flag.
bool SteeredQueue::arm() noexcept {
  note_handled();
  eventfd_t raised = 0;
  static_cast<void>(::eventfd_read(event_.get(), &raised));
  is_armed_.store(true, std::memory_order_relaxed);
  barrier_on_all_threads(clock_);
  if (ring_.empty()) return true;
  disarm();
  return false;
}

void SteeredQueue::disarm() noexcept {
  is_armed_.store(false, std::memory_order_relaxed);
  eventfd_t raised = 0;
  static_cast<void>(::eventfd_read(event_.get(), &raised));
}

}  // namespace pollux
