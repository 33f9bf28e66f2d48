// SPDX-License-Identifier: BSD-3-Clause
#include "bench/histogram.hpp"

#include <algorithm>
#include <bit>

namespace pollux::tool::bench {
namespace {

constexpr std::uint64_t kSubBuckets = std::uint64_t{1} << LatencyHistogram::kPrecisionBits;
constexpr std::uint64_t kMillion = 1'000'000;

}  // namespace

// The first two powers of two share buckets of width 1. Each further one has kSubBuckets, twice as wide as the last.
std::size_t LatencyHistogram::bucket_of(std::uint64_t value) noexcept {
  if (value < 2 * kSubBuckets) return static_cast<std::size_t>(value);
  const auto shift = static_cast<unsigned>(std::bit_width(value)) - kPrecisionBits - 1;
  return static_cast<std::size_t>(shift * kSubBuckets + (value >> shift));
}

std::uint64_t LatencyHistogram::end_of(std::size_t bucket) noexcept {
  if (bucket < 2 * kSubBuckets) return bucket;
  const std::uint64_t shift = bucket / kSubBuckets - 1;
  const std::uint64_t leading = bucket - shift * kSubBuckets;
  return (leading << shift) + ((std::uint64_t{1} << shift) - 1);
}

void LatencyHistogram::record(std::uint64_t value) {
  const std::size_t bucket = bucket_of(value);
  if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
  ++buckets_[bucket];
  ++count_;
  sum_ += value;
  min_ = std::min(min_, value);
  max_ = std::max(max_, value);
}

std::uint64_t LatencyHistogram::percentile(std::uint64_t share) const noexcept {
  if (count_ == 0) return 0;
  const std::uint64_t whole = count_ / kMillion * share;
  const std::uint64_t wanted =
      std::max<std::uint64_t>(1, whole + (count_ % kMillion * share + kMillion - 1) / kMillion);
  std::uint64_t seen = 0;
  for (std::size_t bucket = bucket_of(min_); bucket < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    if (seen >= wanted) return std::min(end_of(bucket), max_);
  }
  return max_;
}

void LatencyHistogram::merge(const LatencyHistogram& other) {
  buckets_.resize(std::max(buckets_.size(), other.buckets_.size()));
  for (std::size_t bucket = 0; bucket < other.buckets_.size(); ++bucket) buckets_[bucket] += other.buckets_[bucket];
  count_ += other.count_;
  sum_ += other.sum_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

}  // namespace pollux::tool::bench
