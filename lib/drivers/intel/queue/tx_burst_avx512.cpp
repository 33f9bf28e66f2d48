// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/avx512.hpp"
#include "drivers/intel/queue/tx_burst.hpp"

namespace pollux::drivers::intel {
namespace {

/// Four descriptors, one cache line, at a time.
struct Avx512TxLoop {
  static constexpr std::intptr_t kStep = 4;

  /// TxRule, four times side by side.
  struct Constants {
    __m512i fields, shortest, most, command;
  };
  POLLUX_AVX512 static inline Constants spread(const TxRule& rule) noexcept;
  POLLUX_AVX512 static inline __m128i iova_and_word(Mbuf& frame) noexcept;
  POLLUX_AVX512 static inline bool send_line(const Constants& constants, const TxRun& run, std::intptr_t i) noexcept;

  POLLUX_AVX512 static inline std::intptr_t send(const TxRule& rule, const TxRun& run, std::intptr_t i) noexcept {
    while ((reinterpret_cast<std::uintptr_t>(run.descriptors + i) & 63) != 0) {
      if (!send_next(rule, run, i) || ++i == 0) return i;
    }
    if (!custody::kTraced && i <= -kStep) {
      const Constants constants = spread(rule);
      do {
        if (!send_line(constants, run, i)) break;
        i += kStep;
      } while (i <= -kStep);
    }
    // What is left of the run, or the line in which something is not plain.
    while (i != 0 && send_next(rule, run, i)) ++i;
    return i;
  }

  POLLUX_AVX512 static inline void copy_group(Mbuf** to, Mbuf* const* from) noexcept {
    constexpr std::uint32_t kPointers = sizeof(__m512i) / sizeof(Mbuf*);
    for (std::uint32_t k = 0; k < TxHotPath::kGroup; k += kPointers) {
      _mm512_storeu_si512(to + k, _mm512_loadu_si512(from + k));
    }
  }
};

inline Avx512TxLoop::Constants Avx512TxLoop::spread(const TxRule& rule) noexcept {
  // From an mbuf's IOVA and word: data offset, 0; length with what must match, 0.
  constexpr char kNone = -1;
  const __m128i fields = _mm_setr_epi8(12, 13, kNone, kNone, kNone, kNone, kNone, kNone,  //
                                       8, 9, 10, 11, kNone, kNone, kNone, kNone);
  return {.fields = _mm512_broadcast_i32x4(fields),
          .shortest = _mm512_broadcast_i32x4(_mm_set_epi32(0, static_cast<int>(rule.shortest), 0, 0)),
          .most = _mm512_broadcast_i32x4(_mm_set_epi32(0, static_cast<int>(rule.span), 0, -1)),
          .command = _mm512_broadcast_i32x4(_mm_set_epi64x(static_cast<long long>(rule.command), 0))};
}

inline __m128i Avx512TxLoop::iova_and_word(Mbuf& frame) noexcept {
  return _mm_load_si128(reinterpret_cast<const __m128i*>(&MbufAccess::iova(frame)));
}

// As send_plain, for four. False, with nothing changed, if one of them is not plain.
inline bool Avx512TxLoop::send_line(const Constants& constants, const TxRun& run, std::intptr_t i) noexcept {
  constexpr __mmask8 kHighWords = 0xAA;
  Mbuf* const* const frames = run.frames + i;
  const __m256i pair =
      _mm256_inserti128_si256(_mm256_castsi128_si256(iova_and_word(*frames[0])), iova_and_word(*frames[1]), 1);
  const __m256i next_pair =
      _mm256_inserti128_si256(_mm256_castsi128_si256(iova_and_word(*frames[2])), iova_and_word(*frames[3]), 1);
  const __m512i four = _mm512_inserti64x4(_mm512_castsi256_si512(pair), next_pair, 1);
  // Data offsets in the low words; in the high ones the length beyond the shortest, or more than any span.
  const __m512i beyond = _mm512_sub_epi32(_mm512_shuffle_epi8(four, constants.fields), constants.shortest);
  if (parts::has(parts::Part::checks) && _mm512_cmpgt_epu32_mask(beyond, constants.most) != 0) [[unlikely]]
    return false;
  // Low words: IOVA plus data offset. High ones: the length, twice, and the command.
  const __m512i base = _mm512_mask_slli_epi64(four, kHighWords, beyond, hw::intel::tx::kPayloadShift);
  _mm512_store_si512(run.descriptors + i, _mm512_add_epi64(_mm512_add_epi64(base, beyond), constants.command));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(run.slots + i),
                      _mm256_loadu_si256(reinterpret_cast<const __m256i*>(frames)));
  return true;
}

template <bool Remote>
POLLUX_AVX512 POLLUX_FLATTEN POLLUX_HOT std::uint32_t burst_loop(TxQueue& queue, Mbuf* const* mbufs,
                                                                 std::uint32_t count) noexcept {
  return TxHotPath::burst_loop<Avx512TxLoop, Remote, false>(queue, mbufs, count);
}

template <bool Remote>
POLLUX_HOT std::uint32_t burst(pollux::TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  return TxHotPath::burst<burst_loop<Remote>, Remote, false>(queue, mbufs, count);
}

}  // namespace

pollux::TxQueue::BurstFunction* tx_burst_avx512(bool remote) noexcept { return remote ? &burst<true> : &burst<false>; }

}  // namespace pollux::drivers::intel
