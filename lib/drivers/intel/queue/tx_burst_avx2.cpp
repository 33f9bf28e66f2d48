// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/avx2.hpp"
#include "drivers/intel/queue/tx_burst.hpp"

namespace pollux::drivers::intel {
namespace {

/// Four descriptors, one cache line, at a time, as two pairs.
struct Avx2TxLoop {
  static constexpr std::intptr_t kStep = 4;

  /// TxRule, twice side by side.
  struct Constants {
    __m256i fields, shortest, most, command;
  };
  POLLUX_AVX2 static inline Constants spread(const TxRule& rule) noexcept;
  POLLUX_AVX2 static inline __m256i descriptors_of(const Constants& constants, __m256i pair, __m256i beyond) noexcept;
  POLLUX_AVX2 static inline __m128i iova_and_word(Mbuf& frame) noexcept;
  POLLUX_AVX2 static inline bool send_line(const Constants& constants, const TxRun& run, std::intptr_t i) noexcept;

  POLLUX_AVX2 static inline std::intptr_t send(const TxRule& rule, const TxRun& run, std::intptr_t i) noexcept {
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

  POLLUX_AVX2 static inline void copy_group(Mbuf** to, Mbuf* const* from) noexcept {
    constexpr std::uint32_t kPointers = sizeof(__m256i) / sizeof(Mbuf*);
    for (std::uint32_t k = 0; k < TxHotPath::kGroup; k += kPointers) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + k),
                          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + k)));
    }
  }
};

inline Avx2TxLoop::Constants Avx2TxLoop::spread(const TxRule& rule) noexcept {
  // From an mbuf's IOVA and word: data offset, 0; length with what must match, 0.
  constexpr char kNone = -1;
  const __m128i fields = _mm_setr_epi8(12, 13, kNone, kNone, kNone, kNone, kNone, kNone,  //
                                       8, 9, 10, 11, kNone, kNone, kNone, kNone);
  return {.fields = _mm256_broadcastsi128_si256(fields),
          .shortest = _mm256_broadcastsi128_si256(_mm_set_epi32(0, static_cast<int>(rule.shortest), 0, 0)),
          .most = _mm256_broadcastsi128_si256(_mm_set_epi32(0, static_cast<int>(rule.span), 0, -1)),
          .command = _mm256_broadcastsi128_si256(_mm_set_epi64x(static_cast<long long>(rule.command), 0))};
}

// Low words: IOVA plus data offset. High ones: the length, twice, and the command.
inline __m256i Avx2TxLoop::descriptors_of(const Constants& constants, __m256i pair, __m256i beyond) noexcept {
  constexpr int kHighWords = 0b1100'1100;
  const __m256i payload = _mm256_slli_epi64(beyond, hw::intel::tx::kPayloadShift);
  const __m256i base = _mm256_blend_epi32(pair, payload, kHighWords);
  return _mm256_add_epi64(_mm256_add_epi64(base, beyond), constants.command);
}

inline __m128i Avx2TxLoop::iova_and_word(Mbuf& frame) noexcept {
  return _mm_load_si128(reinterpret_cast<const __m128i*>(&MbufAccess::iova(frame)));
}

// As send_plain, for four. False, with nothing changed, if one of them is not plain.
inline bool Avx2TxLoop::send_line(const Constants& constants, const TxRun& run, std::intptr_t i) noexcept {
  Mbuf* const* const frames = run.frames + i;
  const __m256i pair =
      _mm256_inserti128_si256(_mm256_castsi128_si256(iova_and_word(*frames[0])), iova_and_word(*frames[1]), 1);
  const __m256i next_pair =
      _mm256_inserti128_si256(_mm256_castsi128_si256(iova_and_word(*frames[2])), iova_and_word(*frames[3]), 1);
  // Data offsets in the low words; in the high ones the length beyond the shortest, or more than any span.
  const __m256i beyond = _mm256_sub_epi32(_mm256_shuffle_epi8(pair, constants.fields), constants.shortest);
  const __m256i next_beyond = _mm256_sub_epi32(_mm256_shuffle_epi8(next_pair, constants.fields), constants.shortest);
  if (parts::has(parts::Part::checks) && !avx2::all_within(beyond, next_beyond, constants.most)) [[unlikely]]
    return false;
  auto* const descriptors = reinterpret_cast<__m256i*>(run.descriptors + i);
  _mm256_store_si256(descriptors, descriptors_of(constants, pair, beyond));
  _mm256_store_si256(descriptors + 1, descriptors_of(constants, next_pair, next_beyond));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(run.slots + i),
                      _mm256_loadu_si256(reinterpret_cast<const __m256i*>(frames)));
  return true;
}

template <bool Remote>
POLLUX_AVX2 POLLUX_FLATTEN POLLUX_HOT std::uint32_t burst_loop(TxQueue& queue, Mbuf* const* mbufs,
                                                               std::uint32_t count) noexcept {
  return TxHotPath::burst_loop<Avx2TxLoop, Remote, false>(queue, mbufs, count);
}

template <bool Remote>
POLLUX_HOT std::uint32_t burst(pollux::TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  return TxHotPath::burst<burst_loop<Remote>, Remote, false>(queue, mbufs, count);
}

}  // namespace

pollux::TxQueue::BurstFunction* tx_burst_avx2(bool remote) noexcept { return remote ? &burst<true> : &burst<false>; }

}  // namespace pollux::drivers::intel
