// SPDX-License-Identifier: BSD-3-Clause
#include "bench/histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace pollux::tool::bench {
namespace {

TEST(LatencyHistogram, IsEmptyAtFirst) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.min(), 0U);
  EXPECT_EQ(histogram.max(), 0U);
  EXPECT_EQ(histogram.mean(), 0U);
  EXPECT_EQ(histogram.percentile(500'000), 0U);
}

TEST(LatencyHistogram, EveryValueIsInABucketThatEndsAtMostOneIn128Above) {
  std::mt19937_64 random(7);
  std::vector<std::uint64_t> values{0, 1, 127, 128, 255, 256, 257, 511, 512, UINT64_MAX - 1, UINT64_MAX};
  for (unsigned bits = 1; bits <= 64; ++bits) {
    for (int i = 0; i < 100; ++i) values.push_back(random() >> (64 - bits));
  }
  for (const std::uint64_t value : values) {
    const std::size_t bucket = LatencyHistogram::bucket_of(value);
    const std::uint64_t end = LatencyHistogram::end_of(bucket);
    EXPECT_GE(end, value);
    EXPECT_LE(end - value, value / 128);
    EXPECT_TRUE(bucket == 0 || LatencyHistogram::end_of(bucket - 1) < value);
  }
  EXPECT_LT(LatencyHistogram::bucket_of(UINT64_MAX), 59U * 128U);
}

TEST(LatencyHistogram, CountsMinMaxAndMeanAreExact) {
  LatencyHistogram histogram;
  for (const std::uint64_t value : {1'000'003U, 5U, 2'000'001U}) histogram.record(value);
  EXPECT_EQ(histogram.count(), 3U);
  EXPECT_EQ(histogram.min(), 5U);
  EXPECT_EQ(histogram.max(), 2'000'001U);
  EXPECT_EQ(histogram.mean(), 1'000'003U);
}

TEST(LatencyHistogram, PercentilesAgreeWithSortedValues) {
  std::mt19937_64 random(11);
  LatencyHistogram histogram;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 10'007; ++i) {
    values.push_back(random() >> (30 + random() % 30));
    histogram.record(values.back());
  }
  std::ranges::sort(values);
  for (const std::uint64_t share : {1U, 10'000U, 500'000U, 900'000U, 999'000U, 999'900U, 1'000'000U}) {
    const std::size_t rank = std::max<std::size_t>(1, (values.size() * share + 999'999) / 1'000'000);
    const std::uint64_t exact = values[rank - 1];
    EXPECT_GE(histogram.percentile(share), exact) << share;
    EXPECT_LE(histogram.percentile(share), exact + exact / 128) << share;
  }
  EXPECT_EQ(histogram.percentile(1'000'000), values.back());
}

TEST(LatencyHistogram, MergedHistogramsHaveTheValuesOfBoth) {
  LatencyHistogram few;
  LatencyHistogram many;
  LatencyHistogram all;
  for (std::uint64_t value = 0; value < 5000; value += 3) {
    (value < 300 ? few : many).record(value);
    all.record(value);
  }
  few.merge(many);
  EXPECT_EQ(few.count(), all.count());
  EXPECT_EQ(few.min(), all.min());
  EXPECT_EQ(few.max(), all.max());
  EXPECT_EQ(few.mean(), all.mean());
  for (const std::uint64_t share : {1U, 500'000U, 990'000U}) EXPECT_EQ(few.percentile(share), all.percentile(share));
  few.merge({});
  EXPECT_EQ(few.min(), all.min());
}

}  // namespace
}  // namespace pollux::tool::bench
