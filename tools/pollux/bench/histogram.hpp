// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

namespace pollux::tool::bench {

/// Counts values in buckets whose width grows with the value: linear within a power of two, as in HdrHistogram (Gil
/// Tene). A value is known to within 1/128 of itself, whatever its size; values below 256 are exact. Recording takes
/// constant time, and the memory is bounded by 58 * 128 counters. Thread rule: one thread.
class LatencyHistogram {
 public:
  /// Sub-buckets of each power of two.
  static constexpr unsigned kPrecisionBits = 7;

  void record(std::uint64_t value);

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  /// Exact; 0 if nothing was recorded.
  [[nodiscard]] std::uint64_t min() const noexcept { return count_ == 0 ? 0 : min_; }
  [[nodiscard]] std::uint64_t max() const noexcept { return max_; }
  /// Exact, rounded down.
  [[nodiscard]] std::uint64_t mean() const noexcept { return count_ == 0 ? 0 : sum_ / count_; }
  /// The smallest value that at least `share` of the recorded values do not exceed, rounded up to the end of its bucket
  /// and at most max(). `share` is in millionths, from 0 to 1,000,000: 999'000 is the 99.9th percentile.
  [[nodiscard]] std::uint64_t percentile(std::uint64_t share) const noexcept;

  void merge(const LatencyHistogram& other);

  [[nodiscard]] static std::size_t bucket_of(std::uint64_t value) noexcept;
  /// The greatest value of a bucket.
  [[nodiscard]] static std::uint64_t end_of(std::size_t bucket) noexcept;

 private:
  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t min_ = UINT64_MAX;
  std::uint64_t max_ = 0;
};

}  // namespace pollux::tool::bench
