// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <immintrin.h>

#include <cstdint>

/// Marks functions compiled for AVX2. Call them only on a processor that has it.
#define POLLUX_AVX2 __attribute__((target("avx2")))

/// Helpers of the AVX2 bursts. A vector holds two descriptors.
namespace pollux::drivers::intel::avx2 {

/// `value` in the high word of each descriptor, 0 in the low words.
POLLUX_AVX2 inline __m256i in_high_words(std::uint64_t value) noexcept {
  return _mm256_set_epi64x(static_cast<long long>(value), 0, static_cast<long long>(value), 0);
}

/// Whether every 32-bit element of `first` and `second` is at most the same element of `limits`.
POLLUX_AVX2 inline bool all_within(__m256i first, __m256i second, __m256i limits) noexcept {
  const __m256i largest = _mm256_max_epu32(first, second);
  return _mm256_movemask_epi8(_mm256_cmpeq_epi32(_mm256_max_epu32(largest, limits), limits)) == -1;
}

}  // namespace pollux::drivers::intel::avx2
