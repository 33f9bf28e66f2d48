// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <immintrin.h>

#include <cstdint>

/// For functions that work with AVX-512; they must be reached on a processor that has it and on no other.
#define POLLUX_AVX512 __attribute__((target("avx2,avx512f,avx512bw,avx512dq,avx512vl")))

/// What the paths that work with AVX-512 share about four descriptors side by side.
namespace pollux::drivers::intel::avx512 {

/// `value` in all high words, 0 in the low ones.
POLLUX_AVX512 inline __m512i in_high_words(std::uint64_t value) noexcept {
  return _mm512_maskz_set1_epi64(0xAA, static_cast<long long>(value));
}

}  // namespace pollux::drivers::intel::avx512
