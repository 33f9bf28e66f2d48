// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/frame.hpp"

namespace pollux::examples {

/// Computes from the sequence numbers of good frames how many were lost, duplicated or reordered.
class SequenceTracker {
 public:
  /// How far a frame may be behind the highest number and still be distinguished from a duplicate.
  static constexpr std::uint64_t kWindow = 1U << 20U;

  SequenceTracker() : seen_(kWindow / 64) {}

  void observe(std::uint64_t sequence) noexcept;

  [[nodiscard]] std::uint64_t unique() const noexcept { return unique_; }
  /// Frames that arrived twice, or more than kWindow late.
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
  [[nodiscard]] std::uint64_t& word(std::uint64_t sequence) noexcept { return seen_[sequence % kWindow / 64]; }
  [[nodiscard]] static std::uint64_t bit(std::uint64_t sequence) noexcept { return std::uint64_t{1} << sequence % 64; }

  std::vector<std::uint64_t> seen_;  // one bit for each of the last kWindow numbers
  std::uint64_t first_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t unique_ = 0;
  std::uint64_t duplicated_ = 0;
  std::uint64_t reordered_ = 0;
};

/// A tracker for each flow. The network keeps the order of a flow's frames, but not that of several flows.
class FlowSequences {
 public:
  void observe(std::uint8_t flow, std::uint64_t sequence);

  /// Sums over all flows.
  [[nodiscard]] std::uint64_t unique() const noexcept;
  [[nodiscard]] std::uint64_t duplicated() const noexcept;
  [[nodiscard]] std::uint64_t reordered() const noexcept;
  [[nodiscard]] std::uint64_t missing() const noexcept;
  /// nullptr if no frame of the flow has come.
  [[nodiscard]] const SequenceTracker* flow(std::uint8_t flow) const noexcept { return flows_[flow].get(); }

 private:
  std::array<std::unique_ptr<SequenceTracker>, frame::kMaxFlows> flows_;
};

}  // namespace pollux::examples
