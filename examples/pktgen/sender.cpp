// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/sender.hpp"

#include <algorithm>
#include <utility>

namespace pollux::examples {

Sender::Sender(TxQueue& queue, MempoolCache& cache, std::vector<FrameBuilder> flows, Pacer pacer,
               const Options& options)
    : queue_(&queue), cache_(&cache), flows_(std::move(flows)), pacer_(pacer), options_(options) {}

void Sender::poll() noexcept {
  const std::uint64_t now = read_cycles();
  if (burst_.empty()) build(now);
  // Also with an empty burst, since this call frees the buffers of sent frames.
  const std::uint32_t taken = queue_->tx_burst(burst_);
  if (taken == 0) return;
  busy_.include(now);
  taken_.add(taken);
}

void Sender::build(std::uint64_t now) noexcept {
  const std::uint64_t left = options_.count - built_;
  const auto limit = static_cast<std::uint32_t>(std::min<std::uint64_t>(options_.burst, left));
  if (limit == 0) return;
  std::uint32_t wanted = pacer_.grant(now, limit);
  // A nearly exhausted pool refills when the queue frees sent frames; until then fewer are sent.
  while (wanted != 0 && !burst_.fill(*cache_, wanted)) wanted /= 2;
  for (std::uint32_t i = 0; i < wanted; ++i) {
    if (!flows_[next_flow_].build(burst_[i], *cache_, next_sequence_)) {
      while (burst_.size() > i) cache_->free(burst_.pop());
      return;
    }
    ++built_;
    if (++next_flow_ < flows_.size()) continue;
    next_flow_ = 0;
    ++next_sequence_;
  }
}

}  // namespace pollux::examples
