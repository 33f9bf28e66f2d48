// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/sequence_tracker.hpp"

#include <algorithm>

namespace pollux::tools {
namespace {

using Flows = std::vector<std::unique_ptr<SequenceTracker>>;

std::uint64_t sum(const Flows& flows, std::uint64_t (SequenceTracker::*count)() const noexcept) noexcept {
  std::uint64_t sum = 0;
  for (const auto& flow : flows) sum += flow ? ((*flow).*count)() : 0;
  return sum;
}

}  // namespace

void SequenceTracker::observe(std::uint64_t sequence) noexcept {
  if (unique_ == 0) {
    first_ = last_ = sequence;
  } else if (sequence > last_) {
    forget_up_to(sequence);
    last_ = sequence;
  } else if (last_ - sequence >= window_ || (word(sequence) & bit(sequence)) != 0) {
    ++duplicated_;
    return;
  } else {
    ++reordered_;
    first_ = std::min(first_, sequence);
  }
  word(sequence) |= bit(sequence);
  ++unique_;
}

/// Clears the bits of the numbers above the highest one so far, up to `sequence`. Until now these bits belonged to the
/// numbers that are lower by the window.
void SequenceTracker::forget_up_to(std::uint64_t sequence) noexcept {
  if (sequence - last_ >= window_) {
    std::fill(seen_.begin(), seen_.end(), 0);
    return;
  }
  for (std::uint64_t next = last_ + 1; next <= sequence; ++next) word(next) &= ~bit(next);
}

std::uint64_t SequenceTracker::missing() const noexcept { return unique_ == 0 ? 0 : last_ - first_ + 1 - unique_; }

void FlowSequences::observe(std::uint16_t flow, std::uint64_t sequence) {
  if (flow >= flows_.size()) flows_.resize(flow + std::size_t{1});
  auto& tracker = flows_[flow];
  if (!tracker) {
    const std::uint64_t window = ++count_ <= kWideFlows ? SequenceTracker::kWindow : kNarrowWindow;
    tracker = std::make_unique<SequenceTracker>(window);
  }
  tracker->observe(sequence);
}

std::uint64_t FlowSequences::unique() const noexcept { return sum(flows_, &SequenceTracker::unique); }
std::uint64_t FlowSequences::duplicated() const noexcept { return sum(flows_, &SequenceTracker::duplicated); }
std::uint64_t FlowSequences::reordered() const noexcept { return sum(flows_, &SequenceTracker::reordered); }
std::uint64_t FlowSequences::missing() const noexcept { return sum(flows_, &SequenceTracker::missing); }

}  // namespace pollux::tools
