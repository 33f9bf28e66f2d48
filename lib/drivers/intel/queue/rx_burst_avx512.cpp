// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/avx512.hpp"
#include "drivers/intel/queue/rx_burst.hpp"
#include "drivers/intel/queue/simd_loop.hpp"

namespace pollux::drivers::intel {
namespace {

/// Handles four descriptors at a time, which is one cache line.
class Avx512RxStep {
 public:
  static constexpr std::intptr_t kFrames = 4;
  static constexpr bool kAligned = true;
  static constexpr bool kEnabled = true;

  POLLUX_AVX512 inline explicit Avx512RxStep(const RxFastPath& fast_path) noexcept;
  POLLUX_AVX512 inline bool operator()(const RxRun& run, std::intptr_t i) const noexcept;

 private:
  /// The fields of RxFastPath, each for four descriptors.
  __m512i mask_, expected_, max_excess_, one_byte_word_, iova_delta_, to_buffer_;
};

inline Avx512RxStep::Avx512RxStep(const RxFastPath& fast_path) noexcept
    : mask_(avx512::in_high_words(fast_path.mask)),
      expected_(avx512::in_high_words(fast_path.expected)),
      max_excess_(avx512::in_high_words(fast_path.max_excess << 32)),
      one_byte_word_(_mm512_set1_epi64(static_cast<long long>(fast_path.one_byte_word))),
      iova_delta_(_mm512_set1_epi64(static_cast<long long>(fast_path.iova_delta))),
      to_buffer_(_mm512_set1_epi64(static_cast<long long>(fast_path.iova_delta - fast_path.data_offset()))) {}

// Does for four frames what take_fast does for one. Returns false and changes nothing if one needs the slow path.
inline bool Avx512RxStep::operator()(const RxRun& run, std::intptr_t i) const noexcept {
  constexpr __mmask8 kLowWords = 0x55;
  const __m512i line = _mm512_load_si512(run.descriptors + i);  // reads each descriptor once, all 16 bytes together
  io::dma_rmb();
  // Two checks, each in 32 bits of its own: no status mismatch, and a length less one of at most max_excess.
  const __m512i excess = _mm512_sub_epi32(_mm512_and_si512(line, mask_), expected_);
  if (_mm512_cmpgt_epu32_mask(excess, max_excess_) != 0) [[unlikely]]
    return false;
  const __m256i received = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(run.slots + i));
  const __m256i fresh = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(run.fresh + i));
  Mbuf* const* const mbufs = run.slots + i;
  Mbuf* const first = mbufs[0];
  Mbuf* const second = mbufs[1];
  Mbuf* const third = mbufs[2];
  Mbuf* const fourth = mbufs[3];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(run.out + i), received);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(run.slots + i), fresh);
  // Arm the slots: the addresses of the fresh buffers in the low words, zeros in the high words.
  const __m512i armed = _mm512_maskz_add_epi64(
      kLowWords, _mm512_maskz_expand_epi64(kLowWords, _mm512_castsi256_si512(fresh)), iova_delta_);
  _mm512_store_si512(run.descriptors + i, armed);
  // Write the first 32 bytes of each mbuf with one store: the write-back in the lower 16, and in the upper 16 the
  // buffer's IOVA and the word with length, pool and port.
  const __m512i words = _mm512_add_epi64(_mm512_srli_epi64(excess, 32), one_byte_word_);
  const __m512i buffers = _mm512_add_epi64(_mm512_castsi256_si512(received), to_buffer_);
  const __m512i upper = _mm512_mask_expand_epi64(words, kLowWords, buffers);
  const __m512i first_two = _mm512_permutex2var_epi64(line, _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0), upper);
  const __m512i last_two = _mm512_permutex2var_epi64(line, _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4), upper);
  _mm256_store_si256(reinterpret_cast<__m256i*>(first), _mm512_castsi512_si256(first_two));
  _mm256_store_si256(reinterpret_cast<__m256i*>(second), _mm512_extracti64x4_epi64(first_two, 1));
  _mm256_store_si256(reinterpret_cast<__m256i*>(third), _mm512_castsi512_si256(last_two));
  _mm256_store_si256(reinterpret_cast<__m256i*>(fourth), _mm512_extracti64x4_epi64(last_two, 1));
  for (std::intptr_t k = 0; k < kFrames; ++k) prefetch_frame(mbufs[RxRing::kPrefetchDistance + k]);
  return true;
}

struct Avx512RxLoop {
  POLLUX_AVX512 static inline std::intptr_t take(const RxFastPath& fast_path, const RxRun& run,
                                                 std::intptr_t i) noexcept {
    return simd_loop<Avx512RxStep, take_next<true>>(fast_path, run, run.descriptors, i);
  }
};

template <bool Remote>
POLLUX_AVX512 POLLUX_FLATTEN POLLUX_HOT std::uint32_t burst_loop(RxRing& ring, Mbuf** out,
                                                                 std::uint32_t limit) noexcept {
  return rx_burst_loop<Avx512RxLoop, Remote, true>(ring, out, limit);
}

}  // namespace

pollux::RxQueue::BurstFunction* rx_burst_avx512(bool remote) noexcept {
  return remote ? &rx_burst<burst_loop<true>, true, true> : &rx_burst<burst_loop<false>, false, true>;
}

}  // namespace pollux::drivers::intel
