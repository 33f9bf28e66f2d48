// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <immintrin.h>

namespace pollux::drivers::intel {

/// The order in which a shuffle of bytes takes what a transmit step looks at out of an mbuf's IOVA and word: data
/// offset, 0; length with what must match, 0.
inline __m128i tx_fields() noexcept {
  constexpr char kNone = -1;
  return _mm_setr_epi8(12, 13, kNone, kNone, kNone, kNone, kNone, kNone,  //
                       8, 9, 10, 11, kNone, kNone, kNone, kNone);
}

}  // namespace pollux::drivers::intel
