// SPDX-License-Identifier: BSD-3-Clause
#include "ports/ring/ring_pair.hpp"

namespace pollux::ring {

void FrameRing::open(std::uint32_t slots) {
  if (!ring_) ring_.emplace(kMaxSlots);
  limit_.store(slots, std::memory_order_release);
}

void FrameRing::wake() noexcept {
  if (is_armed_.exchange(false)) wake_event_->raise();
}

}  // namespace pollux::ring
