// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/avx512.hpp"
#include "drivers/intel/queue/simd_loop.hpp"
#include "drivers/intel/queue/tx_burst.hpp"
#include "drivers/intel/queue/tx_simd.hpp"

namespace pollux::drivers::intel {
namespace {

/// Handles four descriptors at a time, which is one cache line. `TwoLengths`: see TxFormat.
template <bool TwoLengths>
class Avx512TxStep {
 public:
  [[maybe_unused]] static constexpr std::intptr_t kFrames = 4;  // not in checked builds
  static constexpr bool kAligned = true;
  static constexpr bool kEnabled = !ownership::kChecked;

  POLLUX_AVX512 inline explicit Avx512TxStep(const TxFastPath& fast_path) noexcept;
  POLLUX_AVX512 inline bool operator()(const TxRun& run, std::intptr_t i) const noexcept;

 private:
  POLLUX_AVX512 static inline __m128i iova_and_word(Mbuf& frame) noexcept;

  /// The fields of TxFastPath, each for four descriptors.
  __m512i fields_, shortest_, max_excess_, command_;
};

template <bool TwoLengths>
inline Avx512TxStep<TwoLengths>::Avx512TxStep(const TxFastPath& fast_path) noexcept
    : fields_(_mm512_broadcast_i32x4(tx_fields())),
      shortest_(_mm512_broadcast_i32x4(_mm_set_epi32(0, static_cast<int>(fast_path.shortest), 0, 0))),
      max_excess_(_mm512_broadcast_i32x4(_mm_set_epi32(0, static_cast<int>(fast_path.max_excess), 0, -1))),
      command_(_mm512_broadcast_i32x4(_mm_set_epi64x(static_cast<long long>(fast_path.command), 0))) {}

template <bool TwoLengths>
inline __m128i Avx512TxStep<TwoLengths>::iova_and_word(Mbuf& frame) noexcept {
  return _mm_load_si128(reinterpret_cast<const __m128i*>(&MbufAccess::iova(frame)));
}

// Does for four frames what send_fast does for one. Returns false and changes nothing if one needs the slow path.
template <bool TwoLengths>
inline bool Avx512TxStep<TwoLengths>::operator()(const TxRun& run, std::intptr_t i) const noexcept {
  constexpr __mmask8 kHighWords = 0xAA;
  Mbuf* const* const frames = run.frames + i;
  const __m256i pair =
      _mm256_inserti128_si256(_mm256_castsi128_si256(iova_and_word(*frames[0])), iova_and_word(*frames[1]), 1);
  const __m256i next_pair =
      _mm256_inserti128_si256(_mm256_castsi128_si256(iova_and_word(*frames[2])), iova_and_word(*frames[3]), 1);
  const __m512i four = _mm512_inserti64x4(_mm512_castsi256_si512(pair), next_pair, 1);
  // Low words: data offsets. High words: the length less the shortest one; a mismatch is above every limit.
  const __m512i excess = _mm512_sub_epi32(_mm512_shuffle_epi8(four, fields_), shortest_);
  if (_mm512_cmpgt_epu32_mask(excess, max_excess_) != 0) [[unlikely]]
    return false;
  // The low word of a descriptor is IOVA plus data offset. The high word is the length in one or both fields, plus the
  // command.
  const __m512i base = TwoLengths ? _mm512_mask_slli_epi64(four, kHighWords, excess, hw::intel::tx::kPayloadShift)
                                  : _mm512_maskz_mov_epi64(static_cast<__mmask8>(~kHighWords), four);
  _mm512_store_si512(run.descriptors + i, _mm512_add_epi64(_mm512_add_epi64(base, excess), command_));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(run.slots + i),
                      _mm256_loadu_si256(reinterpret_cast<const __m256i*>(frames)));
  return true;
}

template <bool TwoLengths>
struct Avx512TxLoop {
  POLLUX_AVX512 static inline std::intptr_t send(const TxFastPath& fast_path, const TxRun& run,
                                                 std::intptr_t i) noexcept {
    return simd_loop<Avx512TxStep<TwoLengths>, send_next>(fast_path, run, run.descriptors, i);
  }

  POLLUX_AVX512 static inline void copy_group(Mbuf** to, Mbuf* const* from) noexcept {
    constexpr std::uint32_t kPointers = sizeof(__m512i) / sizeof(Mbuf*);
    for (std::uint32_t k = 0; k < TxRing::kGroup; k += kPointers) {
      _mm512_storeu_si512(to + k, _mm512_loadu_si512(from + k));
    }
  }
};

template <bool Remote, bool TwoLengths>
POLLUX_AVX512 POLLUX_FLATTEN POLLUX_HOT std::uint32_t burst_loop(TxRing& ring, Mbuf* const* mbufs,
                                                                 std::uint32_t count) noexcept {
  return tx_burst_loop<Avx512TxLoop<TwoLengths>, Remote, false>(ring, mbufs, count);
}

}  // namespace

pollux::TxQueue::BurstFunction* tx_burst_avx512(bool remote, bool two_lengths) noexcept {
  if (two_lengths) {
    return remote ? &tx_burst<burst_loop<true, true>, true, false> : &tx_burst<burst_loop<false, true>, false, false>;
  }
  return remote ? &tx_burst<burst_loop<true, false>, true, false> : &tx_burst<burst_loop<false, false>, false, false>;
}

}  // namespace pollux::drivers::intel
