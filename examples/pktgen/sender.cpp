// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/sender.hpp"

#include <algorithm>
#include <utility>

#include "common/ticks.hpp"

namespace pollux::examples {

Sender::Sender(TxQueue& queue, MempoolCache& cache, FrameBuilder builder, Pacer pacer, const Options& options)
    : queue_(&queue), cache_(&cache), builder_(std::move(builder)), pacer_(pacer), options_(options) {}

void Sender::poll() noexcept {
  const std::uint64_t now = ticks();
  if (burst_.empty()) build(now);
  // Also with an empty burst, since this call frees the buffers of sent frames.
  const std::uint32_t taken = queue_->tx_burst(burst_);
  if (taken == 0) return;
  if (taken_.frames == 0) first_tick_ = now;
  last_tick_ = now;
  taken_.add(taken, std::uint64_t{taken} * builder_.length());
}

void Sender::build(std::uint64_t now) noexcept {
  const std::uint64_t left = options_.count - next_sequence_;
  const auto limit = static_cast<std::uint32_t>(std::min<std::uint64_t>(options_.burst, left));
  if (limit == 0) return;
  std::uint32_t wanted = pacer_.grant(now, limit);
  // A nearly exhausted pool refills when the queue frees sent frames; until then fewer are sent.
  while (wanted != 0 && !burst_.fill(*cache_, wanted)) wanted /= 2;
  for (std::uint32_t i = 0; i < wanted; ++i) {
    if (!builder_.build(burst_[i], *cache_, next_sequence_)) {
      while (burst_.size() > i) cache_->free(burst_.pop());
      return;
    }
    ++next_sequence_;
  }
}

}  // namespace pollux::examples
