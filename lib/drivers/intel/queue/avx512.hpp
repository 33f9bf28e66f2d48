// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <immintrin.h>

#include <cstdint>

/// Marks functions compiled for AVX-512. Call them only on a processor that has it.
#define POLLUX_AVX512 __attribute__((target("avx2,avx512f,avx512bw,avx512dq,avx512vl")))

/// Helpers of the AVX-512 bursts. A vector holds four descriptors.
namespace pollux::drivers::intel::avx512 {

/// `value` in the high word of each descriptor, 0 in the low words.
POLLUX_AVX512 inline __m512i in_high_words(std::uint64_t value) noexcept {
  return _mm512_maskz_set1_epi64(0xAA, static_cast<long long>(value));
}

}  // namespace pollux::drivers::intel::avx512
