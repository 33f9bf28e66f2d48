// SPDX-License-Identifier: BSD-3-Clause
#include "ports/null/queues.hpp"

namespace pollux::null {

std::uint32_t RxQueue::burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  auto& queue = static_cast<RxQueue&>(base);
  if (queue.frame_.empty()) return 0;
  std::uint32_t made = 0;
  while (made < limit) {
    MbufPtr frame = queue.copy(queue.frame_);
    if (frame == nullptr) break;
    queue.count_arrival(queue.frame_.data(), static_cast<std::uint32_t>(queue.frame_.size()));
    out[made++] = frame.release();
  }
  queue.count_returned(made);
  return made;
}

std::uint32_t TxQueue::burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  auto& queue = static_cast<TxQueue&>(base);
  for (std::uint32_t i = 0; i < count; ++i) {
    if (queue.reject(mbufs[i])) continue;
    queue.count_sent(mbufs[i]->packet_length());
    queue.give_back(*mbufs[i]);
  }
  queue.count_taken(count);
  return count;
}

}  // namespace pollux::null
