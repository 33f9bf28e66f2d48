// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <immintrin.h>

namespace pollux::drivers::intel {

/// The byte shuffle that transmit steps apply to an mbuf's IOVA and MbufAccess::word. Low word of the result: the data
/// offset. High word: length, pool and `special`.
inline __m128i tx_fields() noexcept {
  constexpr char kNone = -1;
  return _mm_setr_epi8(12, 13, kNone, kNone, kNone, kNone, kNone, kNone,  //
                       8, 9, 10, 11, kNone, kNone, kNone, kNone);
}

}  // namespace pollux::drivers::intel
