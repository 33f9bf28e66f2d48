// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace pollux::tools {

/// Computes from the sequence numbers of good frames how many were lost, duplicated or reordered.
class SequenceTracker {
 public:
  /// How far a frame may be behind the highest number and still be distinguished from a duplicate.
  static constexpr std::uint64_t kWindow = 1U << 20U;

  /// `window`: another one than kWindow, a multiple of 64.
  explicit SequenceTracker(std::uint64_t window = kWindow) : window_(window), seen_(window / 64) {}

  void observe(std::uint64_t sequence) noexcept;

  [[nodiscard]] std::uint64_t unique() const noexcept { return unique_; }
  /// Frames that arrived twice, or later than the window.
  [[nodiscard]] std::uint64_t duplicated() const noexcept { return duplicated_; }
  /// Frames that arrived after one with a greater number (RFC 4737, 3.3).
  [[nodiscard]] std::uint64_t reordered() const noexcept { return reordered_; }
  /// Numbers between the smallest and the greatest that never arrived.
  [[nodiscard]] std::uint64_t missing() const noexcept;
  /// The smallest and greatest number so far; meaningless before the first frame.
  [[nodiscard]] std::uint64_t first() const noexcept { return first_; }
  [[nodiscard]] std::uint64_t last() const noexcept { return last_; }

 private:
  void forget_up_to(std::uint64_t sequence) noexcept;
  [[nodiscard]] std::uint64_t& word(std::uint64_t sequence) noexcept { return seen_[sequence % window_ / 64]; }
  [[nodiscard]] static std::uint64_t bit(std::uint64_t sequence) noexcept { return std::uint64_t{1} << sequence % 64; }

  std::uint64_t window_;
  std::vector<std::uint64_t> seen_;  // one bit for each of the last numbers
  std::uint64_t first_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t unique_ = 0;
  std::uint64_t duplicated_ = 0;
  std::uint64_t reordered_ = 0;
};

/// A tracker for each flow. The network keeps the order of a flow's frames, but not that of several flows. The first
/// kWideFlows flows that arrive have trackers with the whole window; those of further flows have kNarrowWindow, so that
/// all of them fit into memory.
class FlowSequences {
 public:
  static constexpr std::size_t kWideFlows = 64;
  static constexpr std::uint64_t kNarrowWindow = 1U << 12U;

  void observe(std::uint16_t flow, std::uint64_t sequence);

  /// Flows of which a frame has come.
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  /// Sums over all flows.
  [[nodiscard]] std::uint64_t unique() const noexcept;
  [[nodiscard]] std::uint64_t duplicated() const noexcept;
  [[nodiscard]] std::uint64_t reordered() const noexcept;
  [[nodiscard]] std::uint64_t missing() const noexcept;
  /// nullptr if no frame of the flow has come.
  [[nodiscard]] const SequenceTracker* flow(std::uint16_t flow) const noexcept {
    return flow < flows_.size() ? flows_[flow].get() : nullptr;
  }

 private:
  std::vector<std::unique_ptr<SequenceTracker>> flows_;  // up to the greatest that has come
  std::size_t count_ = 0;
};

}  // namespace pollux::tools
