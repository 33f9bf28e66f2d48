// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <tmmintrin.h>

#include <cstdint>

namespace pollux::bench {

/// Swaps the MAC addresses, the least that a forwarder does to a frame: one shuffle of its first 16 bytes.
inline void swap_macs(std::uint8_t* frame) noexcept {
  const __m128i order = _mm_setr_epi8(6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 12, 13, 14, 15);
  auto* const at = reinterpret_cast<__m128i*>(frame);
  _mm_storeu_si128(at, _mm_shuffle_epi8(_mm_loadu_si128(at), order));
}

}  // namespace pollux::bench
