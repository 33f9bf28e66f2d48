// SPDX-License-Identifier: BSD-3-Clause
#include "ports/ring/ring_pair.hpp"

namespace pollux::ring {

void FrameRing::open(std::uint32_t slots) {
  if (!ring_) ring_.emplace(kMaxSlots);
  limit_.store(slots, std::memory_order_release);
}

}  // namespace pollux::ring
