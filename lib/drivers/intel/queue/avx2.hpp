// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <immintrin.h>

#include <cstdint>

/// For functions that work with AVX2; they must be reached on a processor that has it and on no other.
#define POLLUX_AVX2 __attribute__((target("avx2")))

/// What the paths that work with AVX2 share about two descriptors side by side.
namespace pollux::drivers::intel::avx2 {

/// `value` in both high words, 0 in the low ones.
POLLUX_AVX2 inline __m256i in_high_words(std::uint64_t value) noexcept {
  return _mm256_set_epi64x(static_cast<long long>(value), 0, static_cast<long long>(value), 0);
}

/// Whether none of the 32-bit parts of either is more than that of `most`.
POLLUX_AVX2 inline bool all_within(__m256i parts, __m256i others, __m256i most) noexcept {
  const __m256i largest = _mm256_max_epu32(parts, others);
  return _mm256_movemask_epi8(_mm256_cmpeq_epi32(_mm256_max_epu32(largest, most), most)) == -1;
}

}  // namespace pollux::drivers::intel::avx2
